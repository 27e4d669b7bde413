"""Figures of trials: cost against budget, learning curves, what stayed in view, and the table of verdicts."""
