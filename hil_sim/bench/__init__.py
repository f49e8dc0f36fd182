"""Measurements of the real-time core, always as ratios within one run."""
