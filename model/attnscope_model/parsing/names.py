"""Names of a state dict's entries: stated prefixes, those that wrappers of training add, and dotted beginnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from attnscope_model.parsing.remedies import refuse
from attnscope_model.parsing.values import shown

MAX_PREFIXES: Final = 200
"""Beginnings of names that are tried; those of most names come first."""

MAX_DEPTH: Final = 4
"""Dictionaries within each other that are looked into."""

WRAPPERS: Final = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""Prefixes that wrappers of training put before names."""

_INNER_WRAPPERS: Final = tuple(f".{wrapper}" for wrapper in WRAPPERS[1:])
_COUNTER: Final = "n_averaged"
"""The prefix that torch's averaged model adds to the names of the model that it wraps."""


@dataclass(frozen=True)
class Found:
    """One state dict, under the names that a family's model gives its tensors."""

    key: str
    prefix: str
    values: Mapping[str, Any]
    wrappers: frozenset[str] = frozenset()
    left_out: tuple[str, ...] = ()
    """Names without the prefix."""
    notes: tuple[str, ...] = field(default=())

    @property
    def words(self) -> str:
        """Return the options that choose it on the command line."""
        prefix = f" --prefix {shown(self.prefix)}" if self.prefix else ""
        return f"--key {self.key}{prefix} ({len(self.values)} entries)"


def under(key: str, state: Mapping[str, Any], prefix: str) -> Found | None:
    """Return the entries under a stated prefix: of the file's names, or else of the names without wrappers."""
    raw = Found(key, "", state)
    for whole in (raw, unwrapped(key, state)) if prefix else (unwrapped(key, state),):
        part = beneath(whole, prefix)
        if part.values:
            inner = unwrapped(key, part.values)
            return Found(key, prefix, inner.values, whole.wrappers | inner.wrappers, part.left_out)
    return None


def beneath(found: Found, prefix: str) -> Found:
    """Return the entries whose names begin with a prefix, without it; the names of all others are noted."""
    if not prefix:
        return found
    values = {name.removeprefix(prefix): value for name, value in found.values.items() if name.startswith(prefix)}
    beside = tuple(name for name in found.values if not name.startswith(prefix))
    return Found(found.key, prefix, values, found.wrappers, beside)


def unwrapped(key: str, state: Mapping[str, Any]) -> Found:
    """Return a state dict without the names of wrappers.

    Raises
    ------
    CheckpointUnreadableError
        Two names become one.
    """
    values: dict[str, Any] = {}
    wrappers: set[str] = set()
    averaged = _COUNTER in state and any(name.startswith(WRAPPERS[0]) for name in state)
    for name, value in state.items():
        if averaged and name == _COUNTER:
            continue
        plain = name
        while wrapper := next((wrapper for wrapper in WRAPPERS if plain.startswith(wrapper)), None):
            plain = plain.removeprefix(wrapper)
            wrappers.add(wrapper)
        for inner in _INNER_WRAPPERS:
            while inner in plain:
                plain = plain.replace(inner, ".")
                wrappers.add(inner[1:])
        if plain in values:
            raise refuse(
                f"{shown(plain)}: stored twice under different prefixes", "say which with --prefix, e.g. module."
            )
        values[plain] = value
    return Found(key, "", values, frozenset(wrappers), (_COUNTER,) if averaged else ())


def beginnings(names: Collection[str]) -> list[str]:
    """Return the dotted beginnings of names, those of most names first."""
    counted: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")[:-1]
        counted.update(".".join(parts[:count]) + "." for count in range(1, min(len(parts), MAX_DEPTH) + 1))
    return [beginning for beginning, _ in counted.most_common(MAX_PREFIXES)]
