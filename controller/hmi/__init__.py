"""The operator's screen: a face of the supervisor, served from one thread of its own."""
