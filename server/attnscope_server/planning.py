"""Plans of jobs before they are queued: each is resolved by its kind and held against the caps of this service.

It knows neither requests nor the database; the stored jobs that it needs are handed to it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticSerializationError

from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.errors import refusal
from attnscope_server.kinds import Means, Planned, Referred, kind_of
from attnscope_server.records.job import StoredJob
from attnscope_server.root.captures import Captures
from attnscope_server.settings import Settings
from attnscope_storage.errors import AttnscopeError, CaptureNotFoundError
from attnscope_storage.wire import AnySpec, Estimate, ProblemCode


@dataclass(frozen=True)
class Planner:
    """Plans the jobs of one service."""

    settings: Settings
    registry: CheckpointRegistry
    listings: Listings
    captures: Captures

    def admit(self, spec: AnySpec, referred: StoredJob | None) -> Planned[Any, Any]:
        """Return the plan of a job, if the job fits into this service.

        Parameters
        ----------
        referred
            The owner's job that the specification refers to; None where it refers to none, or there is none.

        Raises
        ------
        ProblemError
            The specification names what is not there, or the job is over a cap, or the disk has no room for it.
        """
        planned = self.plan(spec, referred)
        cap, free = self.settings.limits.capture_bytes, self._free()
        if cap is not None and planned.bytes_raw > cap:
            smaller = kind_of(spec.kind).contract.words.smaller
            detail = f"the {spec.kind} would hold {planned.bytes_raw} decoded bytes; ask for fewer {smaller}"
            raise refusal(ProblemCode.TOO_LARGE, detail, limit=cap, requested=planned.bytes_raw)
        if free is not None and planned.bytes_on_disk > free:
            detail = f"about {planned.bytes_on_disk} bytes are needed where {free} are free"
            raise refusal(ProblemCode.STORAGE_FULL, detail, limit=free, requested=planned.bytes_on_disk)
        return planned

    def plan(self, spec: AnySpec, referred: StoredJob | None) -> Planned[Any, Any]:
        """Return a specification resolved by its kind, with its policy and its schema.

        Raises
        ------
        ProblemError
            The specification names what is not there, or more than the kind allows.
        """
        self._refuse_long(spec)
        found = None if spec.refers_to is None else self._referred(spec.refers_to, referred)
        planned = kind_of(spec.kind).plan(spec, self.registry, self.listings, self.settings.limits, found)
        if "\\u0000" in spec.model_dump_json() and _holds_nul(spec.model_dump(mode="json")):
            detail = "a text of the specification holds the character NUL, which not every database keeps"
            raise refusal(ProblemCode.INVALID_REQUEST, detail)
        return planned

    def estimate(self, planned: Planned[Any, Any], last: StoredJob | None) -> Estimate:
        """Return the cost of a job; its time follows from the rate of the owner's last job of that kind."""
        means = Means(
            disk_free_bytes=self._free(),
            flops_per_second=None if last is None else self._rate(last),
            rated_by="" if last is None else last.kind,
            compiled=self.settings.fused_attention,
        )
        return kind_of(planned.spec.kind).estimate(planned, means)

    def _refuse_long(self, spec: AnySpec) -> None:
        """Refuse a specification whose JSON is longer than the service stores."""
        try:
            limit, size = self.settings.limits.spec_bytes, len(spec.model_dump_json())
        except PydanticSerializationError as error:  # half a surrogate pair, deep in strategies or environments
            raise refusal(ProblemCode.INVALID_REQUEST, "the specification holds text that is not Unicode") from error
        if size > limit:
            detail = (
                f"the specification has {size} bytes as JSON, {limit} are allowed: name fewer seeds, tasks or steps"
            )
            raise refusal(ProblemCode.TOO_LARGE, detail, limit=limit, requested=size)

    def _free(self) -> int | None:
        """Return the free bytes of the disk that holds captures; None where a bucket does."""
        return None if self.settings.bucket is not None else shutil.disk_usage(self.settings.data_root).free

    def _referred(self, name: object, stored: StoredJob | None) -> Referred:
        """Return the job that is read; another owner's is as unknown as one that never was."""
        if stored is None or stored.deleted_at is not None:
            raise refusal(ProblemCode.NOT_FOUND, f"there is no job {name} whose store could be read")
        try:
            committed = self.captures.open(stored.id).steps_committed
        except CaptureNotFoundError:
            committed = 0
        return Referred(stored.id, stored.spec, stored.resolved, committed)

    def _rate(self, job: StoredJob) -> float | None:
        """Return the floating-point operations a second of an ended job; None where its times are not known."""
        if job.ran_seconds <= 0:
            return None
        policy, kind = self.registry.get(job.resolved.checkpoint_id).policy, kind_of(job.kind)
        try:
            done = kind.flops_done(job.spec, job.resolved, policy, lambda: self.captures.open(job.id))
        except AttnscopeError:  # its store is gone or damaged: no rate follows from it
            return None
        return done / max(job.ran_seconds, 1e-3)


def _holds_nul(value: Any) -> bool:  # noqa: ANN401 - JSON
    """Return True where a text or a name of a JSON value holds the character NUL, at whatever depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and "\0" in one:
            return True
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend((*one, *one.values()))
    return False
