"""From a context to an action: contexts, decisions, sampling, the attention tape, replay and influence.

Steps no environment and writes no store.
"""
