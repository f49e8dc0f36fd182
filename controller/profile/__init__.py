"""Equipment profile: YAML about one unit, checked and compiled to flat tables the kernel executes."""
