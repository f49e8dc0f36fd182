"""Somebody hears: horn, beacon and call-out, each a program of its own, supervised."""
