"""Captures of other programs, read without trusting them."""

from attnscope.foreign.importing import import_reference

__all__ = ["import_reference"]
