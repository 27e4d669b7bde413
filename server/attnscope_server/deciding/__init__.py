"""Decisions: the driver that asks for rollouts and gives one answer, and the job. Rollouts lie in ``phases``."""
