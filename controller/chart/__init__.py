"""The cause-and-effect chart of a unit: made from the Plan that runs, for people who review it."""
