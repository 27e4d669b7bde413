"""Gymnasium environments for in-context RL, their vectorised twins and the presets that bind them to a family."""
