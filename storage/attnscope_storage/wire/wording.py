"""The faults of a specification, in words that both sides use: a line for each field."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import islice
from types import MappingProxyType
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

MAX_GIVEN: Final = 40
"""Characters of a value that a refusal repeats."""

_HIDDEN: Final = object()
"""Stands for a value that an error does not tell."""

EXPECTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "int_parsing": "a whole number",
        "int_parsing_size": "a whole number with fewer digits",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_parsing": "a number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "bool_parsing": "true or false",
        "bool_type": "true or false",
        "string_type": "text",
        "string_unicode": "text in Unicode",
        "string_pattern_mismatch": "text like {pattern}",
        "greater_than_equal": "at least {ge}",
        "greater_than": "more than {gt}",
        "less_than_equal": "at most {le}",
        "less_than": "less than {lt}",
        "multiple_of": "a multiple of {multiple_of}",
        "literal_error": "{expected}",
        "enum": "{expected}",
        "list_type": "a list",
        "tuple_type": "a list",
        "set_type": "a list",
        "iterable_type": "a list",
        "dict_type": "names with values",
        "mapping_type": "names with values",
        "model_type": "names with values",
        "model_attributes_type": "names with values",
        "dataclass_type": "names with values",
        "none_required": "nothing",
        "uuid_parsing": "an id of 32 hexadecimal digits",
        "uuid_type": "an id of 32 hexadecimal digits",
        "datetime_from_date_parsing": "a date with a time",
        "datetime_parsing": "a date with a time",
        "datetime_type": "a date with a time",
        "timezone_aware": "a time with its time zone",
        "path_type": "a path",
    }
)
"""By kind of error, the value that was expected; a refusal adds the value that came."""

COUNTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "too_long": "expected {max_length} or fewer entries, got {actual_length}",
        "too_short": "expected {min_length} or more entries, got {actual_length}",
        "string_too_long": "expected {max_length} or fewer characters, got {given}",
        "string_too_short": "expected {min_length} or more characters, got {given}",
        "missing": "a value is needed",
        "union_tag_invalid": "expected one of {expected_tags}, got '{tag}'",
        "union_tag_not_found": "name {discriminator}",
        "json_invalid": "the text is no JSON: {error}",
    }
)
"""By kind of error, the whole sentence."""


def sentence(error: Mapping[str, Any]) -> str:
    """Return what is wrong by one of pydantic's errors, without the field, in this project's words."""
    return _joined([error])


def wrong_fields(errors: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return pydantic's errors as ``field: message``, those of a field's alternatives together.

    At most `MAX_ERRORS` errors are read, in time that grows with their number alone. An error of a whole field is left
    out where one of its entries has an error too: the entry's error caused it.
    """
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for error in islice(errors, MAX_ERRORS):
        found.setdefault(_place(error["loc"]), []).append(error)
    outer = {place[:length] for place in found for length in range(1, len(place))}
    deepest = [place for place in found if place not in outer]
    return [f"{'.'.join(place)[:MAX_PLACE] or 'body'}: {_joined(found[place])}" for place in deepest]


def _joined(errors: Iterable[Mapping[str, Any]]) -> str:
    """Return the errors of one value as one sentence: what was expected, by alternatives, and what came."""
    wanted: list[str] = []
    whole: list[str] = []
    given = ""
    for error in errors:
        kind, fields = str(error.get("type", "")), _fields_of(error)
        if kind in EXPECTED:
            given = fields["given"]
            _once(wanted, EXPECTED[kind].format_map(fields))
        elif kind == "extra_forbidden" and not error.get("ctx"):
            _once(whole, "there is no such field")
        elif kind in COUNTED:
            _once(whole, COUNTED[kind].format_map(fields)[:MAX_MESSAGE])
        else:
            _once(whole, str(error["msg"])[:MAX_MESSAGE].removeprefix("Value error, "))
    if wanted:
        whole.insert(0, f"expected {' or '.join(wanted)}"[:MAX_MESSAGE] + (f", got {given}" if given else ""))
    return ", or ".join(whole)


def _once(words: list[str], word: str) -> None:
    if word not in words:
        words.append(word)


def _fields_of(error: Mapping[str, Any]) -> dict[str, str]:
    """Return what an error tells by name; a name that it lacks is empty, so that no refusal fails by itself."""
    value = error.get("input", _HIDDEN)
    counted = error.get("type") in {"string_too_long", "string_too_short"} and isinstance(value, str)
    fields = {name: str(part)[:MAX_MESSAGE] for name, part in (error.get("ctx") or {}).items()}
    if "expected_tags" in fields:  # in one order, whichever kind was registered first
        fields["expected_tags"] = ", ".join(sorted(fields["expected_tags"].split(", ")))
    return defaultdict(str, {**fields, "given": str(len(value)) if counted else _given(value)})


def _given(value: object) -> str:
    """Return a value as a refusal repeats it: short ones themselves, of others their kind and length."""
    if value is _HIDDEN or value is None or isinstance(value, bool):
        return {_HIDDEN: "", None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return repr(value) if len(value) <= MAX_GIVEN else f"{value[:MAX_GIVEN]!r}…"
    if isinstance(value, int | float):
        long = isinstance(value, int) and value.bit_length() > 3 * MAX_GIVEN
        return "a number of many digits" if long else str(value)
    if isinstance(value, list | tuple | set):
        return f"a list of {len(value)}"
    return "names with values" if isinstance(value, Mapping) else type(value).__name__


def _place(location: tuple[int | str, ...]) -> tuple[str, ...]:
    parts = [str(part) for part in location]
    while parts and (parts[0] == _BODY or parts[0] in contracts()):
        del parts[0]
    return tuple(part for part in parts if _BRANCH.fullmatch(part) is None)
