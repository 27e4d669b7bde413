"""The stores that workers send, at the service: those of each attempt, kept between its requests."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.attempts.subject import acting_in, as_it_acts, subject_of
from attnscope_server.errors import refusal
from attnscope_server.kinds import kind_of
from attnscope_server.owning import Owning, Part, Subject
from attnscope_server.records.job import StoredJob
from attnscope_server.root.captures import Captures
from attnscope_storage.errors import CaptureNotFoundError, ChunkRefusedError
from attnscope_storage.layout.store_schema import StoreSchema
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import ProblemCode, contract_of
from attnscope_storage.wire.contract import imported
from attnscope_storage.wire.parts import LISTED, PART_OF, child_id
from attnscope_storage.wire.specifications.cards import CardEarlier
from attnscope_storage.writing.fence import Tenure
from attnscope_storage.writing.received import ReceivedStore

KEPT: Final = 256
"""Attempts whose stores are kept open between requests; a further one's are opened anew, which takes them over."""


def owned_names(job: StoredJob) -> tuple[str, ...]:
    """Return the names of the stores that a job may come to own."""
    names: tuple[str, ...] = getattr(job.resolved, "children", ())
    return names


@dataclass
class _Arriving:
    """The stores of one attempt, and the newest word of its lease."""

    job: StoredJob
    lock: threading.Lock = field(default_factory=threading.Lock)
    own: ReceivedStore | None = None
    part: tuple[str, ReceivedStore] | None = None
    """The owned store that is filled, and its name."""
    due: tuple[int, Part | None] | None = None
    """The owned store that is due, and after how many entries of the job's own."""

    def may_write(self) -> bool:
        """Return True while the lease lasts."""
        return self.job.lease_until is not None and datetime.now(UTC) < self.job.lease_until

    def drop(self) -> None:
        """Forget what is held in memory: it may not be what is stored."""
        self.own = self.part = self.due = None


class Arrivals:
    """The stores that arrive at one service."""

    def __init__(self, captures: Captures, registry: CheckpointRegistry, listings: Listings, *, durable: bool) -> None:
        self._captures, self._registry, self._listings, self._durable = captures, registry, listings, durable
        self._lock = threading.Lock()
        self._arriving: OrderedDict[tuple[UUID, int], _Arriving] = OrderedDict()

    @contextmanager
    def store(self, job: StoredJob, part: str | None = None) -> Iterator[ReceivedStore]:
        """Yield a store of a running job's present attempt, for one request at a time.

        Parameters
        ----------
        part
            Name of an owned store, which must be the one that is due; None: the job's own.

        Raises
        ------
        ProblemError
            Another request about the attempt is being served: a thread waits for none (too many requests).
        ChunkRefusedError
            The job's next commit needs no such part, or another one first.
        FencedError, LeaseLostError, SchemaMismatchError
            As `ReceivedStore`.
        """
        one = self._of(job)
        if not one.lock.acquire(blocking=False):
            detail = "another request about this attempt is being served: one worker sends one after the other"
            raise refusal(ProblemCode.TOO_MANY_REQUESTS, detail, limit=1, requested=2)
        try:
            one.job = job
            try:
                yield self._own(one) if part is None else self._part(one, part)
            except ChunkRefusedError:
                raise
            except BaseException:
                one.drop()
                raise
        finally:
            one.lock.release()

    def due(self, job: StoredJob) -> Part | None:
        """Return the owned store that must be whole before the next commit of the job's own; None where none must.

        Raises
        ------
        ChunkRefusedError
            What is committed asks for nothing that can be stored.
        """
        owning = self._owning(job)
        if owning is None:
            return None
        try:
            own = self._captures.open(job.id)
        except CaptureNotFoundError:
            return None
        one = self._of(job)
        known, steps = one.due, own.steps_committed
        if known is None or known[0] != steps:
            checkpoint = self._registry.get(job.resolved.checkpoint_id)
            subject = Subject(job.id, job.spec, job.resolved, checkpoint, self._listings)
            known = steps, None if own.complete else owning.due(subject, own, self._captures.open)
            one.due = known
        part = known[1]
        return None if part is None or self._whole(child_id(job.id, part.name)) else part

    def earlier(self, job: StoredJob, others: Iterable[UUID]) -> tuple[CardEarlier, ...] | None:
        """Return in short what a job comes after, among the owner's other jobs of its kind; None where nothing is read.

        Parameters
        ----------
        others
            Ids of these jobs.
        """
        owning = self._owning(job)
        if owning is None:
            return None
        return owning.earlier(job.owner, job.resolved, (self._captures.path(one) for one in others))

    def schema(self, job: StoredJob, part: Part | None = None) -> StoreSchema:
        """Return the arrays that a job's specification, or that of an owned store, asks for."""
        policy = self._registry.get(job.resolved.checkpoint_id).policy
        of = job if part is None else part
        made: StoreSchema = contract_of(of.spec.kind).schema(of.spec, of.resolved, policy)
        return made

    def attributes(self, job: StoredJob, provenance: Mapping[str, Any], part: str | None = None) -> dict[str, object]:
        """Return the root attributes of a new store: a worker tells only what its own machine and code are.

        Parameters
        ----------
        provenance
            As the worker tells it; what the service knows itself goes before it.
        part
            Name of the owned store that is due; None: the job's own.

        Raises
        ------
        ChunkRefusedError
            The part is not due.
        """
        registered = self._registry.get(job.resolved.checkpoint_id)
        due = None if part is None else self._awaited(job, part)
        of, name = (job, str(job.name)) if due is None else (due, str(child_id(job.id, due.name)))
        checkpoint = as_it_acts(registered, of.spec, of.resolved)
        subject = subject_of(name, job.owner, of.spec, of.resolved, checkpoint)
        known: dict[str, object] = {"provenance": {**provenance, **acting_in(checkpoint, of.resolved)}}
        if due is not None:
            known[PART_OF] = {"store": str(job.id), "name": due.name}
        elif names := owned_names(job):
            known[LISTED] = {one: str(child_id(job.id, one)) for one in names}
        return subject | known

    def received(self, job: StoredJob) -> tuple[int, int] | None:
        """Return the entries and bytes that are committed of what this attempt sends; None where it has sent nothing.

        Without waiting for a request that is being served: it tells what was committed before.
        """
        one = self._arriving.get((job.id, job.attempts))
        store = None if one is None else one.own
        return None if store is None or store.steps is None else (store.steps, store.bytes_written)

    def forget(self, job: UUID) -> None:
        """Drop what is held in memory of a job's attempts."""
        with self._lock:
            for key in [key for key in self._arriving if key[0] == job]:
                del self._arriving[key]

    def _of(self, job: StoredJob) -> _Arriving:
        key = (job.id, job.attempts)
        with self._lock:
            one = self._arriving.setdefault(key, _Arriving(job))
            self._arriving.move_to_end(key)
            while len(self._arriving) > KEPT:
                self._arriving.popitem(last=False)
        return one

    def _own(self, one: _Arriving) -> ReceivedStore:
        if one.own is None:
            one.own = self._opened(one, one.job.id, self.schema(one.job), self._owning(one.job))
        return one.own

    def _part(self, one: _Arriving, name: str) -> ReceivedStore:
        if one.part is None or one.part[0] != name or one.part[1].complete:
            due = self._awaited(one.job, name)
            one.part = name, self._opened(one, child_id(one.job.id, name), self.schema(one.job, due))
        return one.part[1]

    def _opened(
        self, one: _Arriving, store: UUID, schema: StoreSchema, owning: Owning[Any, Any] | None = None
    ) -> ReceivedStore:
        tenure = Tenure(one.job.attempts, one.may_write, one.job.placed_on)
        check = None if owning is None else owning.check
        return ReceivedStore(self._captures.path(store), schema, tenure, durable=self._durable, check=check)

    def _awaited(self, job: StoredJob, name: str) -> Part:
        due = self.due(job)
        if due is None or due.name != name:
            wanted = "no part" if due is None else f"the part {due.name}"
            raise ChunkRefusedError(f"the next commit of this job waits for {wanted}")
        return due

    def _whole(self, store: UUID) -> bool:
        try:
            reader: CaptureReader = self._captures.open(store)
        except CaptureNotFoundError:
            return False
        return reader.complete

    @staticmethod
    def _owning(job: StoredJob) -> Owning[Any, Any] | None:
        path = kind_of(job.kind).owning
        if path is None:
            return None
        made: Owning[Any, Any] = imported(path)()
        return made
