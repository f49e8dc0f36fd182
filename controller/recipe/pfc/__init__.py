"""The procedure function chart of a recipe: for people who review it, and for those who run it."""
