"""The reason, in words, for which no placement slot that is there takes a queued job. Places nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from attnscope_server.kinds import kinds
from attnscope_server.running.runner import SlotKind
from attnscope_server.running.supervising.placing import Place
from attnscope_storage.wire import JobSummary

Need = tuple[Callable[[Place], bool], Callable[[Sequence[Place]], str]]
"""Says of a placement slot whether it meets a need of a job; and of the slots that do not, what is missing."""


def waits_for(job: JobSummary, places: Sequence[Place]) -> str | None:
    """Return why none of the placement slots takes a job, busy ones too; None where one does and the job has its turn.

    Parameters
    ----------
    job
        Queued.
    places
        Every slot of this moment.
    """
    if not places:
        return "no placement slot is there: neither a device of the service nor a worker that asks for jobs"
    for meets, missing in _needs(job):
        left = [place for place in places if meets(place)]
        if not left:
            return missing(places)
        places = left
    return None


def _needs(job: JobSummary) -> Iterator[Need]:
    """Yield the needs of a job, in the order in which they are told."""
    kind = kinds().get(job.kind)
    beside = kind is not None and kind.beside
    yield (
        lambda place: beside or place.slot.kind is SlotKind.DEVICE,
        lambda _: "no placement slot with a whole device is there",
    )
    yield (
        lambda place: place.slot.owners is None or job.owner in place.slot.owners,
        lambda places: f"none of the {_slots(places)} there serves {job.owner}",
    )
    yield (
        lambda place: job.kind not in place.slot.refuses,
        lambda places: f"none of the {_slots(places)} there takes a {job.kind}",
    )
    if job.device_kind is not None:
        yield (
            lambda place: place.slot.device_kind(place.hardware) in {None, job.device_kind},
            lambda places: f"it asks for a {job.device_kind} device; there is {_kinds(places)}",
        )
    began = None if job.placed_on is None else job.placed_on.get("device")
    if began is not None and job.progress.steps_committed and not job.resume_elsewhere:
        yield (
            lambda place: place.hardware in {None, began},
            lambda places: (
                f"it began on {began} and goes on only there, unless resume_elsewhere allows it; "
                f"there is {', '.join(sorted({str(place.hardware) for place in places}))}"
            ),
        )


def _slots(places: Sequence[Place]) -> str:
    """Return the number of slots in words."""
    return "1 placement slot" if len(places) == 1 else f"{len(places)} placement slots"


def _kinds(places: Sequence[Place]) -> str:
    """Return the kinds of device of slots; all of them are known."""
    return ", ".join(sorted({str(place.slot.device_kind(place.hardware)) for place in places}))
