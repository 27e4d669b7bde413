"""A decision and a screen beside the capture that the page shows: looked up, followed while they grow, kept as JSON."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Protocol
from uuid import UUID

from attnscope.capture import Capture
from attnscope.decisions.decision import Decision
from attnscope.errors import NotFoundError
from attnscope.job import JobHandle
from attnscope.page.answered import Evidence, answer_of
from attnscope.recommendations.beside import find_beside
from attnscope.recommendations.commands import decide_command
from attnscope.screens.screen import Screen
from attnscope.service import Service
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.wire.parts import CAPTURE, SCREEN

AGAIN_SECONDS: Final = 60.0
"""Seconds after which a service is asked anew which decisions and screens it has."""

ABSENT: Final = (CaptureNotFoundError, NotFoundError)
"""Errors of a store that is not there yet, or no more."""


class Beside(Protocol):
    """Evidence that may grow."""

    def look(self) -> None:
        """Take note of what was committed since."""
        ...

    def evidence(self) -> Evidence:
        """Return what is known by the last look."""
        ...

    @property
    def mark(self) -> str:
        """A text that differs where the evidence does."""
        ...

    @property
    def still(self) -> bool:
        """True where nothing more will come."""
        ...


class Nothing:
    """No evidence: a downloaded capture has no service that could be asked."""

    mark, still = "none", True

    def look(self) -> None:
        """Do nothing."""

    def evidence(self) -> Evidence:
        """Return no evidence."""
        return Evidence()


class Given:
    """Evidence that is at hand and does not grow."""

    mark, still = "given", True

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def look(self) -> None:
        """Do nothing."""

    def evidence(self) -> Evidence:
        """Return the evidence that was given."""
        return self._evidence


class OfCapture:
    """The newest decision on a capture's policy, and the newest screen of the capture, as a service has them."""

    mark, still = "found", True

    def __init__(self, service: Service, capture: Callable[[], Capture | None]) -> None:
        self._service, self._capture = service, capture
        self._found: Evidence | None = None
        self._asked = float("-inf")

    def look(self) -> None:
        """Do nothing: finished evidence does not grow."""

    def evidence(self) -> Evidence:
        """Return the evidence, which is looked up again when it is old and there was none."""
        stale = time.monotonic() - self._asked > AGAIN_SECONDS
        capture = self._capture()
        if capture is None:
            return Evidence()
        if self._found is None or (stale and self._found == Evidence()):
            decision, screen = find_beside(self._service, capture)
            self._found = Evidence(
                card=None if decision is None else decision.card,
                screen=None if screen is None else screen.results(),
                screen_job=None if screen is None else screen.job,
            )
            self._asked = time.monotonic()
        return self._found


class OfScreen:
    """One screen, which may still run."""

    def __init__(self, handle: JobHandle) -> None:
        self._handle = handle
        self._screen: Screen | None = None

    @property
    def mark(self) -> str:
        """Rollouts that are committed."""
        return f"{0 if self._screen is None else self._screen.rollouts_committed}"

    @property
    def still(self) -> bool:
        """True where every rollout is there, or the job ended before."""
        return self._handle.state.final and (self._screen is None or self._screen.complete)

    def look(self) -> None:
        """Take note of what the screen committed since."""
        self._handle.refresh()
        try:
            self._screen = self._handle.screen() if self._screen is None else self._screen.refresh()
        except ABSENT:
            return

    def evidence(self) -> Evidence:
        """Return what is committed by the last look."""
        return _with_screen(Evidence(), self._screen)


class OfDecision:
    """One decision, followed from its gate to its answer, and its own screen."""

    def __init__(self, service: Service, handle: JobHandle) -> None:
        self._service, self._handle = service, handle
        self._decision: Decision | None = None
        self._screen: Screen | None = None
        self._ended = False

    @property
    def mark(self) -> str:
        """Requests and rollouts that are committed."""
        requests = 0 if self._decision is None else self._decision.requests_committed
        rollouts = 0 if self._screen is None else self._screen.rollouts_committed
        return f"{requests}+{rollouts}{'' if self._ended else '…'}"

    @property
    def still(self) -> bool:
        """True where the decision has ended, and all of it was looked at."""
        return self._ended

    def look(self) -> None:
        """Take note of what the decision and its screen committed since."""
        ended = self._handle.refresh().state.final
        self._look()
        self._ended = ended

    def _look(self) -> None:
        try:
            self._decision = self._handle.decision() if self._decision is None else self._decision.refresh()
        except ABSENT:
            return
        part = self.part(SCREEN)
        if part is None or (self._screen is not None and self._screen.complete):
            return
        try:
            self._screen = self._service.job(part).screen() if self._screen is None else self._screen.refresh()
        except ABSENT:
            return  # the decision has not come so far

    def part(self, name: str) -> UUID | None:
        """Return the id of a store that the decision owns, also of one that is not there yet."""
        return None if self._decision is None else self._decision.parts.get(name)

    def capture(self) -> JobHandle | None:
        """Return the job of the decision's capture, its own or the linked one; None while there is none."""
        linked = getattr(self._handle.info.spec, CAPTURE, None)
        name = linked if linked is not None else self.part(CAPTURE)
        try:
            return None if name is None else self._service.job(name)
        except ABSENT:
            return None

    def evidence(self) -> Evidence:
        """Return what is committed by the last look."""
        decision = self._decision
        card = None if decision is None or not decision.requests_committed else decision.card
        return _with_screen(Evidence(card=card, running=not self._handle.state.final), self._screen)


def _with_screen(known: Evidence, screen: Screen | None) -> Evidence:
    """Return evidence with what a screen has committed."""
    if screen is None or not screen.rollouts_committed:
        return known
    counted = (screen.rollouts_committed, len(screen.resolved.envs))
    return replace(known, screen=screen.results(), screen_job=screen.job, rollouts=counted)


def _decided(capture: Capture) -> list[tuple[str, str]]:
    """Return the command that decides about a capture's policy."""
    return [("An answer by rollouts, in one command", decide_command(capture))]


class Answers:
    """The answer as JSON, made once for each state of its evidence; may be used from several threads."""

    def __init__(self, beside: Beside, capture: Callable[[], Capture | None]) -> None:
        self.beside, self._capture = beside, capture
        self.commands: Callable[[Capture], list[tuple[str, str]]] = _decided
        """Gives the commands that lead to an answer where there is none, each behind words for it."""
        self._made: tuple[str, dict[str, Any]] | None = None
        self._making = threading.Lock()

    def document(self) -> dict[str, Any]:
        """Return decision and screen as the page shows them; the command that gives an answer, where there is none."""
        with self._making:
            mark = self.beside.mark
            if self._made is None or self._made[0] != mark or not self._made[1]["known"]:
                self._made = mark, self._document()
            return self._made[1]

    def _document(self) -> dict[str, Any]:
        evidence, capture = self.beside.evidence(), self._capture()
        known = evidence.card is not None or evidence.screen is not None
        answered = evidence.running or (evidence.card is not None and evidence.card.answer is not None)
        ask = [] if answered or capture is None else [list(one) for one in self.commands(capture)]
        return {**answer_of(evidence), "commands": ask, "known": known, "running": evidence.running}
