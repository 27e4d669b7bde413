"""Readers of foreign checkpoints, one file a family; each recognises its own state dict, none guesses."""
