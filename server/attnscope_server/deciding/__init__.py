"""The statistics of a decision: looks, ladder, race, gate and answer as pure functions; no rollout, job or file."""
