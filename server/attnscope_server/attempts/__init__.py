"""The start of an attempt at a job, for every kind: earlier commits, attention, environments, and the store.

Only workers import it, but for `subject`. The work itself is in the room of the kind.
"""
