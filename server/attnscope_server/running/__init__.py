"""Jobs on their way to processes and back: the supervisor, the runner of local workers, the worker itself.

Knows no kind of job and no SQL.
"""
