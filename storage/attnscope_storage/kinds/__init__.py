"""The storage half of each kind of job, one folder a kind: its contract, its arrays, and the check of a stored one.

The wire reads every contract; nothing here runs a job.
"""
