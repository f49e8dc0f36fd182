"""The rig: a whole station in virtual time, in lock-step with a simulated plant."""
