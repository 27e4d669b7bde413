"""The stores of a decision whose worker sends commits: which is filled next, and whether its document is one.

The service makes every document, so it asks the driver itself, from the record that is committed. That record is the
worker's word: what it asks for is bounded by what the decision was resolved to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final
from uuid import UUID

import numpy as np
from jaxtyping import Shaped
from pydantic import ValidationError

from attnscope_server.deciding.driver import request, start
from attnscope_server.deciding.phases.earlier import earlier_among
from attnscope_server.deciding.phases.proposing import screened_arms
from attnscope_server.deciding.phases.record import Record, record_of
from attnscope_server.deciding.phases.resolving import plan_of
from attnscope_server.deciding.phases.specifying import Named, captured, screened, tried, whole_rows
from attnscope_server.deciding.phases.trying import trying
from attnscope_server.deciding.state import DecisionPlan, Phase, Request
from attnscope_server.owning import Owning, Part, Subject
from attnscope_storage.errors import ChunkDamagedError, ChunkRefusedError
from attnscope_storage.kinds.decision.schema import DOCUMENT, decoded
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire.parts import CAPTURE, SCREEN, child_id
from attnscope_storage.wire.specifications.cards import CardEarlier
from attnscope_storage.wire.specifications.decisions import DecisionSpec, ResolvedDecision

MOST_PART_BYTES: Final = 2**22
"""Bytes of the specification of a store that a decision owns, as JSON, at most: they stand in its root document."""

Decision = Subject[DecisionSpec, ResolvedDecision]
Opens = Callable[[UUID], CaptureReader]
"""Opens a store by its id."""


class DecisionOwning(Owning[DecisionSpec, ResolvedDecision]):
    """A decision's capture, its screen, and a trial for each round of a race and for each look."""

    def due(self, subject: Decision, own: CaptureReader, store: Opens) -> Part | None:
        """Return the store of the next request; None where the decision has its answer, or reads a linked capture."""
        try:
            return _due(subject, own, store)
        except (ValueError, LookupError, TypeError, ArithmeticError) as error:
            # Whatever its numbers are, the document came from a worker.
            raise ChunkRefusedError(f"the committed document asks for nothing that can be run: {error}") from error

    def earlier(self, owner: str, resolved: ResolvedDecision, others: Iterable[StorePath]) -> tuple[CardEarlier, ...]:
        """Return the owner's decisions on the same checkpoint and environment, by the time of their last commit."""
        return earlier_among(others, owner, resolved)

    def check(self, array: str, values: Shaped[np.ndarray, ...]) -> None:
        """Refuse a document that is none: the service reads it to know what comes next."""
        if array != DOCUMENT:
            return
        try:
            record_of(decoded(values[0]))
        except (ChunkDamagedError, ValidationError, ValueError) as error:
            raise ChunkRefusedError(f"{DOCUMENT} holds no record of a decision") from error


def _due(subject: Decision, own: CaptureReader, store: Opens) -> Part | None:
    spec, resolved, checkpoint = subject.spec, subject.resolved, subject.checkpoint
    steps = own.steps_committed
    record = (
        record_of(decoded(own.array(DOCUMENT)[steps - 1]))
        if steps
        else Record(driver=start(plan_of(spec, resolved)), quick=spec.quick)
    )
    asked = None if record.over else request(record.driver)
    if asked is None:
        return None
    if asked.phase is Phase.CAPTURE:
        return None if resolved.capture_store is not None else Part(CAPTURE, *captured(spec, resolved, checkpoint))
    if asked.phase is Phase.SCREEN:
        return _screen(subject, store)
    _refuse_larger(record.driver.plan, plan_of(spec, resolved), asked, resolved)
    tries = trying(record, asked, resolved)
    part = Part(tries.name, *tried(spec, resolved, tries, checkpoint))
    if part.name not in resolved.children:
        raise ValueError(f"the decision has no store {part.name[:200]!r}")
    if len(part.spec.model_dump_json()) + len(part.resolved.model_dump_json()) > MOST_PART_BYTES:
        raise ValueError(f"the specification of {part.name} has more than {MOST_PART_BYTES} bytes")
    return part


def _screen(subject: Decision, store: Opens) -> Part:
    """Return the screen of the capture."""
    spec, resolved, policy = subject.spec, subject.resolved, subject.checkpoint.policy
    held = resolved.capture_store or str(child_id(subject.job, CAPTURE))
    capture = store(UUID(held))
    # An installed policy that does not say where its tokens stand is not known here: it sends a screen of `reindex`.
    arms = screened_arms(policy, spec, resolved, stacked=True, attention=whole_rows(capture))
    chosen = subject.listings.listing(resolved.environment_id).preset(resolved.environment_kwargs)
    named = Named(UUID(str(capture.attributes["job"])), held)
    return Part(SCREEN, *screened(spec, resolved, named, capture, arms, chosen.most_rewards))


def _refuse_larger(plan: DecisionPlan, mine: DecisionPlan, asked: Request, resolved: ResolvedDecision) -> None:
    """Refuse a request of another plan than the decision's, or of more rollouts than a request may have.

    Raises
    ------
    ValueError
        It names what is wrong.
    """
    told = {"attempt": plan.attempt, "scope": plan.scope}
    if mine.model_copy(update=told) != plan or not set(plan.scope.tasks) <= set(mine.scope.tasks):
        raise ValueError("its plan is not the decision's")
    if len(set(plan.scope.tasks)) != len(plan.scope.tasks):
        raise ValueError("its plan names a task twice")
    if min((piece.rollouts for piece in asked.pieces), default=0) < 1 or asked.rollouts > resolved.largest_part:
        raise ValueError(f"its next request has {asked.rollouts} rollouts, 1 to {resolved.largest_part} are possible")
