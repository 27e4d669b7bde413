"""The acting loop, its environments and its choices, for every kind of rollout; what is recorded lives elsewhere."""
