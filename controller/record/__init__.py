"""The tamper-evident log: one directory of plain files that a stranger can verify (FORMAT.md)."""
