"""Readers that installed packages add through the entry point group ``attnscope.policies``.

A package is installed by the operator beside the service; nothing that a request or a checkpoint holds can name one.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import entry_points
from typing import Final

from attnscope_model.errors import PolicyPackageError
from attnscope_model.readers.base import CheckpointReader

GROUP: Final = "attnscope.policies"
"""Entry point group: each names a subclass of `CheckpointReader`."""


def installed_readers(families: Collection[str]) -> tuple[CheckpointReader, ...]:
    """Return the readers of installed packages, by the order of their names.

    Parameters
    ----------
    families
        Names of families that are taken.

    Raises
    ------
    PolicyPackageError
        A package does not load, names no reader, or names a family that is taken.
    """
    found: list[CheckpointReader] = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            kind = point.load()
            reader = kind()
        except Exception as error:  # a foreign package may raise anything
            raise PolicyPackageError(f"the installed policy {point.name} ({point.value}) fails: {error}") from error
        if not isinstance(reader, CheckpointReader):
            raise PolicyPackageError(f"the installed policy {point.name} ({point.value}) is no CheckpointReader")
        if reader.family in {*families, *(other.family for other in found)}:
            raise PolicyPackageError(
                f"the installed policy {point.name} names the family {reader.family}, which is taken"
            )
        found.append(reader)
    return tuple(found)
