"""The writer of each chunk, where every writer has keys of its own.

A root document in a bucket lists every attempt that took the store over, with the length of each array at that moment.
An attempt writes every chunk that it adds entries to, also the one that it found half full. So a chunk is of the newest
attempt that found its array shorter than the chunk's committed end; what nobody added to is of the first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attnscope_storage.layout.keys import Committed

TAKEOVERS: Final = "takeovers"
"""Root attribute: a list of ``{"attempt": number, "lengths": {array: entries}}``, oldest first."""

_ENDING: Final = re.compile(r"@(?P<attempt>[0-9]+)\.[0-9]+$")


def with_takeover(known: Sequence[Mapping[str, Any]], attempt: int, lengths: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the list with one more attempt.

    Parameters
    ----------
    known
        The attempts so far.
    attempt
        Number of the attempt that takes over.
    lengths
        Committed entries of each array at that moment.
    """
    return [*map(dict, known), {"attempt": attempt, "lengths": dict(lengths)}]


def ending_of(attempt: int, turn: int) -> str:
    """Return what a writer adds to the keys of its chunks; nothing where the first attempt made the store.

    Parameters
    ----------
    attempt
        Number of the job's try.
    turn
        Place of the writer in the list, from 1 on; no two that were published have the same.
    """
    return "" if (attempt, turn) == (1, 1) else f"@{attempt}.{turn}"


def attempt_of(key: str) -> int:
    """Return the attempt whose writer alone writes an object, told by its key; 1 where the key has no ending."""
    found = _ENDING.search(key)
    return 1 if found is None else int(found["attempt"])


def stored_at(key: str, chunk: Committed, attributes: Mapping[str, Any]) -> str:
    """Return the key of the object that holds a committed chunk.

    Parameters
    ----------
    key
        The chunk's own key.
    chunk
        What it means.
    attributes
        Attributes of the root document that commits it.
    """
    array, number = chunk.array, chunk.index[0]
    end = min((number + 1) * array.chunks[0], array.shape[0])
    known: Sequence[Mapping[str, Any]] = attributes.get(TAKEOVERS, [])
    added = (turn for turn in range(len(known), 1, -1) if int(known[turn - 1]["lengths"].get(array.name, 0)) < end)
    turn = next(added, 1)
    return key + ending_of(int(known[turn - 1]["attempt"]) if known else 1, turn)
