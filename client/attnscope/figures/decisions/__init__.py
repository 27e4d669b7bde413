"""Figures of a decision, from its card alone; nothing is fetched or judged here."""
