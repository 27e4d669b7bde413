"""The cost of a claim and of a job's other writes, by the length of the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from attnscope_server.records.job_store import JobStore
from attnscope_server.records.turns import Claim
from attnscope_storage.wire import JobState
from benchmarks.fleet.jobs import Engine, queue

OWNERS: Final = 50
CLAIM: Final = Claim(never=("screen",), runner="made-up", slot="worker-0", hardware="made-up", lease_seconds=60.0)
"""A claim as a slot of a device makes it: a kind is left to other slots, and the slot's device is known."""


@dataclass(frozen=True)
class Claims:
    """The cost of claims at one length of the queue, in processor seconds each."""

    waiting: int
    claim: float
    submit: float

    @property
    def a_second(self) -> float:
        """Claims a second of processor time."""
        return 1 / self.claim


def claims(engine: Engine, lengths: tuple[int, ...], each: int) -> list[Claims]:
    """Let a queue grow to these lengths, and claim from it at each; what was claimed ends at once."""
    database = engine.fresh()
    store, found, waiting = JobStore(database), [], 0
    try:
        for length in lengths:
            began = engine.processor_seconds()
            added = length - waiting
            for nth in range(added):
                queue(store, uuid4(), f"owner-{nth % OWNERS}")
            submitted = (engine.processor_seconds() - began) / added
            taken, began = [], engine.processor_seconds()
            for _ in range(each):
                job = store.claim(CLAIM)
                assert job is not None, "the queue is not empty"
                taken.append(job.id)
            found.append(Claims(length, (engine.processor_seconds() - began) / each, submitted))
            for job in taken:
                store.move(job, JobState.SUCCEEDED)
            waiting = length - each
    finally:
        database.close()
    return found
