"""Training arithmetic: the forward with a loss at every step, the windows it is fed, the optimiser. No environments."""
