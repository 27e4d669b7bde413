"""The sockets under a transport, so that whoever waits on one in another thread can be woken at its end."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Lock
from typing import Any, Final
from weakref import WeakSet

CONNECTED: Final = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})
"""Events of httpcore after which a connection has another socket."""


class Sockets:
    """The open sockets of one HTTP client; may be used from several threads."""

    def __init__(self) -> None:
        self._open: WeakSet[socket.socket] = WeakSet()
        self._lock = Lock()

    def note(self, event: str, told: dict[str, Any]) -> None:
        """Take note of an event of httpcore, as its ``trace`` tells it."""
        if event in CONNECTED:
            found = told["return_value"].get_extra_info("socket")
            if isinstance(found, socket.socket):
                with self._lock:
                    self._open.add(found)

    def end(self) -> None:
        """Shut every socket down: closing alone would leave a thread waiting on it."""
        with self._lock:
            left = list(self._open)
        for one in left:
            with suppress(OSError):  # it has ended by itself
                one.shutdown(socket.SHUT_RDWR)
