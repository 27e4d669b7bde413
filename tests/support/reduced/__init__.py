"""Captures of one rollout in every form of its rows, and the numbers that a figure of them shows; no test."""
