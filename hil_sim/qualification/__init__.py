"""Installation and operational qualification that runs by itself."""
