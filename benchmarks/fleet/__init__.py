"""A simulated fleet: made-up workers and owners around the real scheduler and job database; nothing is computed."""
