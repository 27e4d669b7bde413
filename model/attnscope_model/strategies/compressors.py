"""Names of compressors that installed packages add through the entry point group ``attnscope.compressors``.

Imports no package: a service may ask what there is. `attnscope_model.compression.installed` loads one.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Final

GROUP: Final = "attnscope.compressors"
"""Entry point group: each names what makes a `LearnedCompressor` for a policy, a subclass for instance."""


def installed_compressors() -> dict[str, EntryPoint]:
    """Return the entry points of installed compressors by name."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}
