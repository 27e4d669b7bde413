"""A capture as a kind of job: how it is resolved, what it costs, what runs it."""

from __future__ import annotations

from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.plan import capture_flops, capture_memory
from attnscope_server.capturing.resolving import resolve
from attnscope_server.kinds import Kind, Means, Planned, register
from attnscope_storage.kinds.capture.contract import CONTRACT
from attnscope_storage.wire import CaptureSpec, PolicyDescription, ResolvedCapture


class CaptureKind(Kind[CaptureSpec, ResolvedCapture]):
    """Rolls a policy out and stores what its decisions attend to."""

    contract = CONTRACT
    runner = "attnscope_server.capturing.job:run"

    def resolve(self, spec: CaptureSpec, registry: CheckpointRegistry, listings: Listings) -> ResolvedCapture:
        """Return what a specification means on this service."""
        return resolve(spec, registry, listings)

    def flops(self, spec: CaptureSpec, resolved: ResolvedCapture, policy: PolicyDescription) -> float:
        """Return the floating-point operations of a whole capture."""
        del spec
        return capture_flops(resolved, policy)

    def memory(self, planned: Planned[CaptureSpec, ResolvedCapture], means: Means) -> float:
        """Return a guess of the bytes that a capture needs."""
        return capture_memory(planned.resolved, planned.policy, planned.schema, compiled=means.compiled)


KIND = register(CaptureKind())
"""The kind of job that a capture is."""
