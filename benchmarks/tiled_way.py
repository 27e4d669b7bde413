"""Tiled serving the same rows, installed from its registry into an environment that is thrown away."""

from __future__ import annotations


def measure(*_: object) -> dict[str, object]:
    """Placeholder while the rest is built."""
    return {}
