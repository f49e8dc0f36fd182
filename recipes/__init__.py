"""Master recipes that ship, one file each."""

from pathlib import Path

RECIPES = Path(__file__).parent
