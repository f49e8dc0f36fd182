"""Equipment profile: YAML about one unit, checked and compiled to the kernel's flat tables."""
