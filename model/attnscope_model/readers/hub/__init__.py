"""Readers of Hugging Face folders: their configuration, the declaration of their tokens, and one reader a model type.

Everything is read here; no code of theirs is imported, and no configuration chooses a class.
"""
