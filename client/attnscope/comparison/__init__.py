"""Several captures side by side: what differs, by how much, and whether a pattern holds in all."""

from attnscope.comparison.writing import write_comparison

__all__ = ["write_comparison"]
