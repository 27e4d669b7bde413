"""Copies of connections in other processes: forked children begin anew, and pickles carry no connection and no key."""

from __future__ import annotations

import os
from typing import Final, Protocol
from weakref import WeakValueDictionary

from attnscope.connecting.connection import Connection, find_connection


class Renewed(Protocol):
    """Holds connections or locks, which must not outlive a fork."""

    def renew(self) -> None:
        """Begin anew in a forked child."""


_LIVE: Final[WeakValueDictionary[int, Renewed]] = WeakValueDictionary()
"""Objects to renew, by identity."""

_KEYS: Final[dict[tuple[str, str, int], str]] = {}
"""Keys of this process's connections, by origin. Forked children have them; they are never written anywhere."""


def renew_in_children(one: Renewed) -> None:
    """Let `one` begin anew in every child that this process forks."""
    _LIVE[id(one)] = one


def _renew_all() -> None:
    for one in list(_LIVE.values()):
        one.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)


def keep_key(connection: Connection) -> None:
    """Remember the key of a connection for copies of it that are made in this process or its forked children."""
    if connection.api_key is not None:
        _KEYS[connection.origin] = connection.api_key


def key_again(url: str) -> str | None:
    """Return the key for an address that was unpickled: this process's own, or the one that `find_connection` finds."""
    found = find_connection(url)
    return _KEYS.get(found.origin, found.api_key)
