"""Witnesses: who outside the station has seen which size and root of its logs, and when."""
