"""A trainer's configuration in gin's form: ``Class.key = value``, read as plain values; nothing is run.

A value that is too long for one line stands on indented lines of its own, behind a line that ends with a backslash.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any, Final

from attnscope_model.errors import CheckpointUnreadableError

SUFFIX: Final = ".txt"
"""Ending of such a file's name."""

MAX_VALUE: Final = 1000
"""Characters of a value."""

_ASSIGNED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_./]{0,99}\.[A-Za-z_][A-Za-z0-9_]{0,99}) = (.+)", re.DOTALL)

_GOES_ON: Final = " = \\"
"""End of a line whose value stands on the lines below it."""


def read_gin(content: bytes, name: str) -> dict[str, Any]:
    """Return the values of a file, each under ``Class.key``; comments are passed over.

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
    for number, text in _assignments(content.decode("utf-8", errors="replace")):
        found = _ASSIGNED.fullmatch(text)
        if found is None or len(found[2]) > MAX_VALUE or found[1] in said:
            raise CheckpointUnreadableError(
                f"{name}, line {number}: expected 'Class.key = value', each key once, got {text[:80]!r}"
            )
        said[found[1]] = _plain(found[2], f"{name}, line {number}")
    return said


def _assignments(content: str) -> Iterator[tuple[int, str]]:
    """Yield each assignment with the number of its first line, the lines of a long value joined."""
    lines = content.splitlines()
    number = 0
    while number < len(lines):
        first, text = number + 1, lines[number].strip()
        number += 1
        if text.endswith(_GOES_ON):
            text = text[:-1]
            while number < len(lines) and lines[number][:1].isspace():
                text += lines[number].strip() + "\n"
                number += 1
        if text and not text.startswith("#"):
            yield first, text.strip()


def _plain(text: str, where: str) -> Any:  # noqa: ANN401 - a plain value
    """Return the number, text, truth value, None, list or mapping that is written there."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise CheckpointUnreadableError(f"{where}: expected a plain value, got {text[:80]!r}") from error
    if not isinstance(value, str | int | float | bool | list | tuple | dict | None):
        raise CheckpointUnreadableError(f"{where}: expected a plain value, got {text[:80]!r}")
    return value
