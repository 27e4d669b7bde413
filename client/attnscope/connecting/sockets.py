"""The sockets under a transport: each has a slowest pace, and whoever waits on one can be woken at its end."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Lock
from typing import Any, Final
from weakref import WeakSet

from attnscope.connecting.pace import Paced

CONNECTED: Final = frozenset(
    f"{way}.{step}.complete" for way in ("connection", "proxy", "socks") for step in ("connect_tcp", "start_tls")
)
"""Events of httpcore after which a connection has another socket."""


class Sockets:
    """The open sockets of one HTTP client; may be used from several threads."""

    def __init__(self) -> None:
        self._open: WeakSet[socket.socket] = WeakSet()
        self._lock = Lock()

    def note(self, event: str, told: dict[str, Any]) -> None:
        """Take note of an event of httpcore, as its ``trace`` tells it; a new connection gets a slowest pace."""
        if event in CONNECTED:
            stream = told["return_value"]
            paced, found = Paced(stream), stream.get_extra_info("socket")
            stream.read, stream.write = paced.read, paced.write
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
