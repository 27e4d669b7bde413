"""Evidence that stands beside a capture's attention and comes before it: a decision and a screen of the same policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

from attnscope.connecting.transport import Transport
from attnscope.decisions.decision import Decision
from attnscope.errors import NotFoundError
from attnscope.measures.refusals import NotMeasurableError
from attnscope.screens.results import ScreenResults
from attnscope.screens.screen import Screen
from attnscope.service import Service
from attnscope.trials.trial import Trial
from attnscope_storage.errors import StorageError
from attnscope_storage.wire import JobState, ResolvedSubject
from attnscope_storage.wire.specifications.decisions import DecisionCard
from attnscope_storage.wire.specifications.screens import ScreenSpec

if TYPE_CHECKING:
    from attnscope.capture import Capture
    from attnscope.job import JobHandle

NEWEST: Final = 20
"""Jobs of a kind and checkpoint that are looked through, the newest ones."""

FoundT = TypeVar("FoundT", Decision, Screen, Trial)


@dataclass(frozen=True, eq=False)
class Beside:
    """A decision on the same checkpoint, and a screen of the same capture, where there are any."""

    decision: DecisionCard | None = None
    decision_job: str | None = None
    """Job of the decision, where a service has it."""
    screen: ScreenResults | None = None
    screen_job: str | None = None

    @property
    def answered(self) -> bool:
        """True where a decision has its answer."""
        return self.decision is not None and self.decision.answer is not None


def beside_of(
    capture: Capture,
    decision: Decision | DecisionCard | None = None,
    screen: Screen | ScreenResults | None = None,
) -> Beside:
    """Return what is given beside a capture.

    Raises
    ------
    NotMeasurableError
        The decision or the screen is of another checkpoint or environment.
    """
    own = capture.resolved
    card = decision.card if isinstance(decision, Decision) else decision
    if card is not None and (card.checkpoint_id, card.environment_id) != (own.checkpoint_id, own.environment_id):
        raise NotMeasurableError(
            f"expected a decision on {own.checkpoint_name} in {own.environment_id}, got one on {card.checkpoint_name} "
            f"in {card.environment_id}"
        )
    job = decision.job if isinstance(decision, Decision) and not decision.on_disk else None
    if not isinstance(screen, Screen):
        return Beside(card, job, screen)
    if screen.resolved.checkpoint_id != own.checkpoint_id:
        raise NotMeasurableError(
            f"expected a screen of {own.checkpoint_name}, got one of {screen.resolved.checkpoint_name}"
        )
    return Beside(card, job, screen.results(), screen.job)


def find_beside(service: Service, capture: Capture) -> tuple[Decision | None, Screen | None]:
    """Return the newest answered decision on a capture's checkpoint, and the newest screen of the capture.

    Only finished jobs count whose stores are still there.
    """
    own = capture.resolved

    def answers(card: DecisionCard) -> bool:
        same = (card.checkpoint_id, card.environment_id) == (own.checkpoint_id, own.environment_id)
        return same and card.answer is not None

    decisions = (_there(job.decision) for job in _newest(service, "decision", own.checkpoint_name))
    screens = (
        _there(job.screen)
        for job in _newest(service, "screen", own.checkpoint_name)
        if str(getattr(job.info.spec, "capture", None)) == capture.job
    )
    return (
        next((one for one in decisions if one is not None and answers(one.card)), None),
        next((one for one in screens if one is not None), None),
    )


def find_arms(service: Service, own: ResolvedSubject | DecisionCard) -> Trial | None:
    """Return the newest finished trial of checkpoints whose first arm is this checkpoint, in its environment.

    Parameters
    ----------
    own
        The meaning of a capture, or a decision's card.
    """
    found = (_there(job.trial) for job in _newest(service, "trial", own.checkpoint_name))
    return next(
        (
            one
            for one in found
            if one is not None
            and one.spec.arms
            and (one.resolved.checkpoint_id, one.resolved.environment_id) == (own.checkpoint_id, own.environment_id)
        ),
        None,
    )


def screen_of(transport: Transport, capture: Capture) -> Screen:
    """Return the newest screen of a capture; where there is none, submit one and wait for it."""
    service = Service(transport)
    _, found = find_beside(service, capture)
    if found is not None:
        return found
    return service.submit(ScreenSpec(capture=UUID(capture.job))).wait().screen()


def _newest(service: Service, kind: str, checkpoint: str) -> Iterator[JobHandle]:
    mine = (job for job in service.jobs(kind=kind) if job.summary.checkpoint_name == checkpoint)
    return (job for job in islice(mine, NEWEST) if job.state is JobState.SUCCEEDED)


def _there(opened: Callable[[], FoundT]) -> FoundT | None:
    """Return what a job stored; None where its store was deleted or is damaged."""
    try:
        return opened()
    except (NotFoundError, StorageError):
        return None
