"""The vocabulary every room shares: signals, quantities, time, events, errors, ports.

Nothing here knows a device, a recipe or a file; it imports nothing of ours.
"""
