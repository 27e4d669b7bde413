"""What is wrong with a specification, in words that both sides use: a line for each field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from attnscope_storage.wire.contract import contracts

_BODY: Final = "body"
"""Leading part of a place that names no field, as the kind of job does: the request's body."""

_BRANCH: Final = re.compile(r"constrained-\w+|literal\[.*\]|int|float|str|bool")
"""Parts of a place that name a branch of a union, not a field."""

MAX_ERRORS: Final = 100
"""Errors that are read of one message."""

MAX_PLACE: Final = 120
"""Characters of a field's place."""

MAX_MESSAGE: Final = 300
"""Characters of what is wrong with a field; it may repeat the field."""


def wrong_fields(errors: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return pydantic's errors as ``field: message``, those of a field's alternatives together.

    At most `MAX_ERRORS` errors are read, in time that grows with their number alone. An error of a whole field is left
    out where one of its entries has an error too: the entry's error caused it.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for error in islice(errors, MAX_ERRORS):
        messages = found.setdefault(_place(error["loc"]), [])
        message = str(error["msg"])[:MAX_MESSAGE].removeprefix("Value error, ")
        if message not in messages:
            messages.append(message)
    outer = {place[:length] for place in found for length in range(1, len(place))}
    deepest = [place for place in found if place not in outer]
    return [f"{'.'.join(place)[:MAX_PLACE] or 'body'}: {', or '.join(found[place])}" for place in deepest]


def _place(location: tuple[int | str, ...]) -> tuple[str, ...]:
    parts = [str(part) for part in location]
    while parts and (parts[0] == _BODY or parts[0] in contracts()):
        del parts[0]
    return tuple(part for part in parts if _BRANCH.fullmatch(part) is None)
