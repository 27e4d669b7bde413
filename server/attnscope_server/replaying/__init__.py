"""Attention maps of any stored step, computed again in a process beside the jobs."""
