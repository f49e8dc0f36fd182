"""How two recipes differ in meaning, for who reviews a new version of one."""
