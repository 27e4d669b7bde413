"""Jobs on their way to processes and back: the supervisor, the runners and their messages, the worker itself.

Knows no kind of job and no SQL.
"""
