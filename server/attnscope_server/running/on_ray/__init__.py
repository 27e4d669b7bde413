"""Placement on a Ray cluster: the runner, the process that is the cluster's driver, and the actor that holds a worker.

Only the driver's process and the actors load Ray. Knows no kind of job and no SQL.
"""
