"""A capture as a kind of job: how it is resolved, what it costs, what runs it."""

from __future__ import annotations

from collections.abc import Iterator

from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.keeping import FORMS, keep
from attnscope_server.capturing.resolving import resolve
from attnscope_server.capturing.sizing import capture_flops, capture_memory
from attnscope_server.kinds import COMPRESSION, Kind, Means, Planned, register
from attnscope_storage.kinds.capture.contract import CONTRACT, capture_schema
from attnscope_storage.wire import Alternative, CaptureSpec, Estimate, PolicyDescription, ResolvedCapture, RowsChoice


class CaptureKind(Kind[CaptureSpec, ResolvedCapture]):
    """Rolls a policy out and stores what its decisions attend to."""

    contract = CONTRACT
    runner = "attnscope_server.capturing.job:run"

    def resolve(self, spec: CaptureSpec, registry: CheckpointRegistry, listings: Listings) -> ResolvedCapture:
        """Return what a specification means on this service."""
        return resolve(spec, registry, listings)

    def flops(self, spec: CaptureSpec, resolved: ResolvedCapture, policy: PolicyDescription) -> float:
        """Return the floating-point operations of a whole capture."""
        return capture_flops(resolved, resolved.acting(policy, sliding=spec.sliding))

    def memory(self, planned: Planned[CaptureSpec, ResolvedCapture], means: Means) -> float:
        """Return a guess of the bytes that a capture needs."""
        policy = planned.resolved.acting(planned.policy, sliding=planned.spec.sliding)
        schema = capture_schema(planned.spec, planned.resolved, planned.policy)
        return capture_memory(planned.resolved, policy, schema, compiled=means.compiled)

    def estimate(self, planned: Planned[CaptureSpec, ResolvedCapture], means: Means) -> Estimate:
        """Return what a capture will cost, and its bytes with the rows in other forms."""
        found = super().estimate(planned, means)
        return found.model_copy(update={"alternatives": tuple(alternatives(planned))})


def alternatives(planned: Planned[CaptureSpec, ResolvedCapture]) -> Iterator[Alternative]:
    """Yield the bytes of the same capture with its rows in each other form."""
    spec, resolved, policy = planned.spec, planned.resolved, planned.policy
    envs = tuple(range(resolved.envs)) if spec.rows.envs is None else spec.rows.envs
    cells = len(resolved.row_layers) * len(resolved.row_heads)
    for form in FORMS:
        rows = RowsChoice(form=form, every=spec.rows.every, curve=None if form in {"f16", "u8"} else True)
        other = resolved.model_copy(update=vars(keep(rows, envs, (), cells, policy)))
        if other != resolved:
            asked = spec.model_copy(update={"rows": rows})
            size = sum(array.nbytes for array in capture_schema(asked, other, policy).arrays.values())
            yield Alternative(form=form, bytes_raw=size, bytes_on_disk=round(size / COMPRESSION))


KIND = register(CaptureKind())
"""The kind of job that a capture is."""
