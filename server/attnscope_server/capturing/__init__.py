"""Captures: what a specification means, what it costs, the rollout with attention, and its store."""
