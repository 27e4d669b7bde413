"""From a context to an action: contexts, decisions, sampling, the attention tape, replay of stored decisions and influence."""
