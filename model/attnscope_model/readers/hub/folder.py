"""The configuration beside a checkpoint's weights: of a training run, or of a Hugging Face model and its tokens."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.readers.hub.adapter import FILE, declared
from attnscope_model.readers.hub.configuration import MODEL_TYPES, configured
from attnscope_model.readers.sidecar import plain_values, read_mapping

MAX_BITS: Final = 40
"""Bits of a whole number, at most; the largest size that is meant has 24."""

MAX_DEPTH: Final = 8
"""Mappings and lists within one another, at most."""

MAX_VALUES: Final = 10_000
"""Values of a configuration, one that YAML repeats by an alias counted each time."""

CONFIG: Final = "config.json"
"""Name of a Hugging Face folder's configuration."""

DECLARATION: Final = "attnscope"
"""Key under which a configuration may hold the declaration itself."""


def hub_folder(weights: Path) -> bool:
    """Return whether weights lie in a folder whose configuration is of a model type that is read here."""
    path = weights.with_name(CONFIG)
    return path.is_file() and _of_hub(_named(path))


def said_beside(path: Path, declaration: Path | None) -> dict[str, Any]:
    """Return what a configuration says, and for a Hugging Face model what its declaration says too.

    Parameters
    ----------
    path
        The configuration.
    declaration
        The file that says what a token is; where None, the configuration's own part, or ``attnscope.json`` beside it.

    Raises
    ------
    CheckpointUnreadableError
        A file is too large or no plain JSON or YAML, or says what is not read.
    """
    given = _named(path)
    if not _of_hub(given):
        return plain_values(given)
    _count(given, path.name, 0)
    own = given.pop(DECLARATION, None)
    values = configured(given, path.name)
    beside = declaration or path.with_name(FILE)
    if isinstance(own, dict) and declaration is None:
        return values | declared(own, values["model_type"], f"{path.name}: {DECLARATION}")
    if declaration is None and not beside.is_file():
        return values
    said = _named(beside)
    _count(said, beside.name, 0)
    return values | declared(said, values["model_type"], beside.name)


def _of_hub(given: dict[str, Any]) -> bool:
    return isinstance(given.get("model_type"), str) and given["model_type"] in MODEL_TYPES


def _named(path: Path) -> dict[str, Any]:
    """Return a file's mapping, its names as texts."""
    return {str(key): value for key, value in read_mapping(path).items()}


def _count(value: object, name: str, depth: int) -> int:
    """Return the number of values within a value; numbers without end, depth and bombs of aliases are refused."""
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise CheckpointUnreadableError(f"{name}: a whole number of {value.bit_length()} bits is no size of a model")
    parts: Iterable[object] = ()
    if isinstance(value, dict):
        parts = (part for pair in value.items() for part in pair)
    elif isinstance(value, list | tuple | set):
        parts = value
    if depth > MAX_DEPTH:
        raise CheckpointUnreadableError(f"{name}: its values lie more than {MAX_DEPTH} levels deep")
    found = 1
    for part in parts:
        found += _count(part, name, depth + 1)
        if found > MAX_VALUES:
            raise CheckpointUnreadableError(f"{name}: it has more than {MAX_VALUES} values")
    return found
