"""The batch report: built from the log alone, and only a picture of it."""
