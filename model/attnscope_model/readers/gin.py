"""A trainer's configuration in gin's form: lines ``Class.key = value``, read as plain values; nothing is run."""

from __future__ import annotations

import ast
import re
from typing import Any, Final

from attnscope_model.errors import CheckpointUnreadableError

SUFFIX: Final = ".txt"
"""Ending of such a file's name."""

MAX_VALUE: Final = 1000
"""Characters of a value."""

_LINE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_./]{0,99}\.[A-Za-z_][A-Za-z0-9_]{0,99}) = (.+)")


def read_gin(content: bytes, name: str) -> dict[str, Any]:
    """Return the values of a file's lines, each under ``Class.key``; comments are passed over.

    Parameters
    ----------
    content
        The file.
    name
        Its name, for refusals.

    Raises
    ------
    CheckpointUnreadableError
        A line is no assignment of a plain value, or a key stands twice.
    """
    said: dict[str, Any] = {}
    for number, line in enumerate(content.decode("utf-8", errors="replace").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found = _LINE.fullmatch(text)
        if found is None or len(found[2]) > MAX_VALUE or found[1] in said:
            raise CheckpointUnreadableError(
                f"{name}, line {number}: expected 'Class.key = value', each key once, got {text[:80]!r}"
            )
        said[found[1]] = _plain(found[2], f"{name}, line {number}")
    return said


def _plain(text: str, where: str) -> Any:  # noqa: ANN401 - a plain value
    """Return the number, text, truth value, None or list that is written there."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise CheckpointUnreadableError(f"{where}: expected a plain value, got {text[:80]!r}") from error
    if not isinstance(value, str | int | float | bool | list | tuple | None):
        raise CheckpointUnreadableError(f"{where}: expected a plain value, got {text[:80]!r}")
    return value
