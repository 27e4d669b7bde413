"""Jobs on their way to processes and back: the runners and their messages, the worker itself, and the supervisor.

Knows no kind of job and no SQL.
"""
