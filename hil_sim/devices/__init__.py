"""The device side of every protocol, written from the manuals and sharing no code with the
drivers."""
