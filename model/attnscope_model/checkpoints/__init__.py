"""Checkpoints on disk: the registry, the native format, conversion of foreign files and adoption of native folders."""
