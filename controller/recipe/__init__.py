"""Recipes: what a master recipe may say, what the unit offers, and the engine that follows both."""
