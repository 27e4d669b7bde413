"""Lines of JSON into a process of this machine, from a queue, so that a process that reads nothing holds up nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import IO

from attnscope_server.running.messages import Message


def feed(pipe: IO[bytes] | None, following: Callable[[], Message | None]) -> None:
    """Write each message that `following` waits for, until it is None or the process is gone; then close the pipe.

    The end of the process is noticed by whoever reads from it.
    """
    assert pipe is not None  # noqa: S101 - it was asked for
    with contextlib.suppress(OSError, ValueError):
        while (message := following()) is not None:
            pipe.write(message.line)
            pipe.flush()
    with contextlib.suppress(OSError):
        pipe.close()
