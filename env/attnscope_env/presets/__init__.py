"""The binding of environments to policies: presets, tasks and splits, options of a request, listed environments.

Steps no environment itself.
"""
