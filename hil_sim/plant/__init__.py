"""The simulated perfusion bioreactor: the truth behind every simulated device."""
