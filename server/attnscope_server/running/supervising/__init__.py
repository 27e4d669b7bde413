"""The supervisor: it gives jobs to placement slots, watches their attempts, and writes down how these end.

Knows no process and no machine; runners in `attnscope_server.running` place the jobs.
"""
