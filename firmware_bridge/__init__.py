"""The bridge to our own I/O board: frames, session and protocol."""
