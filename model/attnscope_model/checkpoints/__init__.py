"""Checkpoints on disk: the registry, the native format, conversion of foreign files, adoption of native folders.

Which foreign file is which is known in `readers`.
"""
