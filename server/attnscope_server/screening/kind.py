"""A screen as a kind of job: which capture it reads, how it is resolved, what it costs, what runs it."""

from __future__ import annotations

from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.errors import refusal
from attnscope_server.kinds import Kind, Means, Planned, Referred, register
from attnscope_server.screening.resolving import Captured, resolve_screen
from attnscope_server.screening.sizing import screen_flops, screen_memory
from attnscope_storage.kinds.screen.contract import CONTRACT
from attnscope_storage.wire import CaptureSpec, PolicyDescription, ProblemCode, ResolvedCapture
from attnscope_storage.wire.specifications.screens import ResolvedScreen, ScreenSpec


class ScreenKind(Kind[ScreenSpec, ResolvedScreen]):
    """Judges arms at decisions of a capture's stored histories."""

    contract = CONTRACT
    runner = "attnscope_server.screening.job:run"
    beside = True

    def resolve_on(
        self, spec: ScreenSpec, referred: Referred | None, registry: CheckpointRegistry, listings: Listings
    ) -> ResolvedScreen:
        """Return what a specification means, given its capture."""
        if referred is None or not isinstance(referred.spec, CaptureSpec):
            raise refusal(ProblemCode.INVALID_REQUEST, f"capture: job {spec.capture} is no capture")
        assert isinstance(referred.resolved, ResolvedCapture)  # noqa: S101 - specification and meaning are of one kind
        found = Captured(referred.store, referred.spec, referred.resolved, referred.steps_committed)
        return resolve_screen(spec, found, registry, listings)

    def resolve(self, spec: ScreenSpec, registry: CheckpointRegistry, listings: Listings) -> ResolvedScreen:
        """Refuse: a screen means nothing without its capture."""
        del registry, listings
        raise refusal(ProblemCode.NOT_FOUND, f"there is no job {spec.capture} whose store could be read")

    def flops(self, spec: ScreenSpec, resolved: ResolvedScreen, policy: PolicyDescription) -> float:
        """Return the floating-point operations of a whole screen."""
        del spec
        return screen_flops(resolved, policy)

    def memory(self, planned: Planned[ScreenSpec, ResolvedScreen], means: Means) -> float:
        """Return a guess of the bytes that a screen needs."""
        del means
        return screen_memory(planned.resolved, planned.policy)


KIND = register(ScreenKind())
"""The kind of job that a screen is."""
