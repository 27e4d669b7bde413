"""The actor that holds a worker: the project's own, on a thread of the actor's process.

Importing this loads neither Ray nor torch: the driver only names the class, and the far machine makes it one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Final

import structlog

from attnscope_server.running.environment import PATIENT, crowded
from attnscope_server.running.lease import lasting_clock
from attnscope_server.running.messages import ORDER
from attnscope_server.running.on_ray.checkpoints import Cache
from attnscope_server.running.on_ray.mailbox import Mailbox
from attnscope_server.running.on_ray.marks import sees
from attnscope_server.running.on_ray.wire import Begin, Prepared

log = structlog.get_logger("attnscope.worker")

CALL_SECONDS: Final = 5.0
"""A call for reports waits so long for one."""

LOOK_SECONDS: Final = 1.0
"""From one look for a driver to the next."""


class WorkerActor:
    """A worker of one placement slot, whose driver may go and come.

    Parameters
    ----------
    begin
        What the driver was told of the service, as a line.
    """

    def __init__(self, begin: bytes) -> None:
        self._begin = Begin.model_validate_json(begin)
        self._mailbox, self._cache = Mailbox(), Cache(self._begin.cache_bytes)
        self._cache.sweep()
        if crowded():  # before torch is loaded
            os.environ.update({name: value for name, value in PATIENT.items() if name not in os.environ})
        for target in (self._serve, self._mailbox.live, self._watch):
            threading.Thread(target=target, name=target.__name__, daemon=True).start()

    def prepare(self, checkpoints: Sequence[str]) -> bytes:
        """Say whether the data root is here; where it is not, hold the checkpoints, and say which should come."""
        sees_root = sees(self._begin.data_root, self._begin.mark)
        missing = () if sees_root else self._cache.hold(checkpoints)
        where = self._begin.data_root if sees_root else self._cache.root
        return Prepared(clock=lasting_clock(), sees_root=sees_root, missing=missing, data_root=where).line

    def store(self, checkpoint: str, name: str, piece: bytes) -> None:
        """Take a piece of a checkpoint's file; nothing is used before all are here and add up to its id."""
        self._cache.store(checkpoint, name, piece)

    def stored(self, checkpoint: str) -> None:
        """Make the files that came a checkpoint."""
        self._cache.complete(checkpoint)

    def renew(self, checkpoint: str, entry: bytes) -> None:
        """Bring the entry of a checkpoint that is here up to date."""
        self._cache.renew(checkpoint, entry)

    def take(self, line: bytes) -> None:
        """Act on an order."""
        self._mailbox.take(ORDER.validate_json(line))

    def has(self, job: str, attempt: int) -> bool:
        """Return whether this is the worker of an attempt."""
        return self._mailbox.has((job, attempt))

    def reports(self, number: int) -> tuple[int, list[bytes]]:
        """Return the reports after a number."""
        return self._mailbox.since(number, CALL_SECONDS)

    def _serve(self) -> None:
        try:
            from attnscope_server.running.worker import Worker  # noqa: PLC0415 - loads torch

            Worker(self._mailbox).serve()
        except BaseException:
            log.exception("the worker broke; its actor ends")
            os._exit(1)

    def _watch(self) -> None:
        """End the process when no driver has asked for long: the service is gone, and the device is others'."""
        while not self._mailbox.stopping.wait(LOOK_SECONDS):
            if lasting_clock() - self._mailbox.asked_at > self._begin.abandoned_seconds:
                log.warning("no driver asked for long; this actor ends", seconds=self._begin.abandoned_seconds)
                os._exit(0)
