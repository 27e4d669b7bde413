"""The statistics of a decision as pure functions: looks, ladder, race, gate. No rollout, job or file is here."""
