"""The stores that workers send, at the service: one for each attempt that has sent something, kept between requests."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.attempts.subject import acting_in, as_it_acts, subject_of
from attnscope_server.errors import refusal
from attnscope_server.records.job import StoredJob
from attnscope_server.root.captures import Captures
from attnscope_storage.errors import ChunkRefusedError
from attnscope_storage.layout.store_schema import StoreSchema
from attnscope_storage.wire import ProblemCode, contract_of
from attnscope_storage.writing.fence import Tenure
from attnscope_storage.writing.received import ReceivedStore

KEPT: Final = 256
"""Stores that are kept open between requests; a further one is opened anew, which takes its own attempt over."""


@dataclass
class _Arriving:
    """The store of one attempt, and the newest word of its lease."""

    job: StoredJob
    lock: threading.Lock = field(default_factory=threading.Lock)
    store: ReceivedStore | None = None

    def may_write(self) -> bool:
        """Return True while the lease lasts."""
        return self.job.lease_until is not None and datetime.now(UTC) < self.job.lease_until


class Arrivals:
    """The stores that arrive at one service."""

    def __init__(self, captures: Captures, registry: CheckpointRegistry, *, durable: bool) -> None:
        self._captures, self._registry, self._durable = captures, registry, durable
        self._lock = threading.Lock()
        self._arriving: OrderedDict[tuple[UUID, int], _Arriving] = OrderedDict()

    @contextmanager
    def store(self, job: StoredJob) -> Iterator[ReceivedStore]:
        """Yield the store of a running job's present attempt, for one request at a time.

        Raises
        ------
        ProblemError
            Another request about the attempt is being served: a thread waits for none (too many requests).
        FencedError, LeaseLostError, SchemaMismatchError
            As `ReceivedStore`.
        """
        key = (job.id, job.attempts)
        with self._lock:
            one = self._arriving.setdefault(key, _Arriving(job))
            self._arriving.move_to_end(key)
            while len(self._arriving) > KEPT:
                self._arriving.popitem(last=False)
        if not one.lock.acquire(blocking=False):
            detail = "another request about this attempt is being served: one worker sends one after the other"
            raise refusal(ProblemCode.TOO_MANY_REQUESTS, detail, limit=1, requested=2)
        try:
            one.job = job
            if one.store is None:
                tenure = Tenure(job.attempts, one.may_write, job.placed_on)
                place = self._captures.path(job.id)
                one.store = ReceivedStore(place, self.schema(job), tenure, durable=self._durable)
            try:
                yield one.store
            except ChunkRefusedError:
                raise
            except BaseException:
                one.store = None  # whatever it holds in memory may not be what is stored
                raise
        finally:
            one.lock.release()

    def schema(self, job: StoredJob) -> StoreSchema:
        """Return the arrays that a job's specification asks for."""
        policy = self._registry.get(job.resolved.checkpoint_id).policy
        made: StoreSchema = contract_of(job.kind).schema(job.spec, job.resolved, policy)
        return made

    def attributes(self, job: StoredJob, provenance: Mapping[str, Any]) -> dict[str, object]:
        """Return the root attributes of a new store: a worker tells only what its own machine and code are.

        Parameters
        ----------
        provenance
            As the worker tells it; what the service knows itself goes before it.
        """
        checkpoint = as_it_acts(self._registry.get(job.resolved.checkpoint_id), job.spec, job.resolved)
        known = acting_in(checkpoint, job.resolved)
        subject = subject_of(str(job.name), job.owner, job.spec, job.resolved, checkpoint)
        return subject | {"provenance": {**provenance, **known}}

    def received(self, job: StoredJob) -> tuple[int, int] | None:
        """Return the entries and bytes that are committed of what this attempt sends; None where it has sent nothing.

        Without waiting for a request that is being served: it tells what was committed before.
        """
        one = self._arriving.get((job.id, job.attempts))
        store = None if one is None else one.store
        return None if store is None or store.steps is None else (store.steps, store.bytes_written)

    def forget(self, job: UUID) -> None:
        """Drop what is held in memory of a job's attempts."""
        with self._lock:
            for key in [key for key in self._arriving if key[0] == job]:
                del self._arriving[key]
