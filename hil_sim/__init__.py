"""The simulated unit: plant, device side, virtual-time rig, campaigns and benchmarks."""
