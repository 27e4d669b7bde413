"""A worker's connection by an actor: the driver calls for its reports, so they wait here until it has them."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from attnscope_server.running.channel import Channel
from attnscope_server.running.lease import lasting_clock
from attnscope_server.running.messages import ENDINGS, Advanced, Alive, AnyJobReport, Order, Report, Run

REPLACED: Final = (Advanced, Alive)
"""Reports of which only the newest matters while nobody calls."""


@dataclass(kw_only=True)
class Mailbox(Channel):
    """Reports with their numbers, kept until they are acknowledged."""

    _waiting: deque[tuple[int, Report]] = field(default_factory=deque)
    _number: int = 0
    _ending: AnyJobReport | None = None
    """The end of the attempt that was taken last; a driver that comes after its loss is told it again."""
    _changed: threading.Condition = field(default_factory=threading.Condition)
    asked_at: float = field(default_factory=lasting_clock)
    """When a driver called last."""

    def report(self, report: Report) -> None:
        """Keep a report for the driver; it takes the place of one of its kind that nobody has read."""
        with self._changed:
            if self._waiting and isinstance(report, REPLACED) and type(self._waiting[-1][1]) is type(report):
                self._waiting.pop()
            if isinstance(report, ENDINGS):
                self._ending = report
            self._keep(report)

    def since(self, number: int, seconds: float) -> tuple[int, list[bytes]]:
        """Return the reports after a number, each as a line, and the number of the last; wait for one so long."""
        self.asked_at = lasting_clock()
        with self._changed:
            while self._waiting and self._waiting[0][0] <= number:
                self._waiting.popleft()
            self._changed.wait_for(lambda: self._waiting, timeout=seconds)
            return self._number, [report.line for _, report in self._waiting]

    def take(self, order: Order) -> None:
        """Act on an order, or queue it for the worker."""
        if isinstance(order, Run):
            self._ending = None
        super().take(order)

    def has(self, attempt: tuple[str, int]) -> bool:
        """Return True where an attempt is here or has ended here; its end is then told once more."""
        ending = self._ending
        if ending is not None and (str(ending.job), ending.attempt) == attempt:
            with self._changed:
                self._keep(ending)
            return True
        taken = {self.running} | set(self.leases)
        return attempt in {(str(key[0]), key[1]) for key in taken if key is not None}

    def _keep(self, report: Report) -> None:
        self._number += 1
        self._waiting.append((self._number, report))
        self._changed.notify_all()
