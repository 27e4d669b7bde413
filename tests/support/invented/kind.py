"""The service's half of the invented kind."""

from __future__ import annotations

from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.resolving import find_subject
from attnscope_server.kinds import Kind, Means, Planned, register
from attnscope_storage.wire import PolicyDescription
from invented.contract import CONTRACT, CountSpec, ResolvedCount


class CountKind(Kind[CountSpec, ResolvedCount]):
    """Counts."""

    contract = CONTRACT
    runner = "invented.runner:run"

    def resolve(self, spec: CountSpec, registry: CheckpointRegistry, listings: Listings) -> ResolvedCount:
        """Return the subject and the entries."""
        subject = find_subject(spec, registry, listings)
        return ResolvedCount(**dict(subject.resolved(spec)), entries=spec.entries)

    def flops(self, spec: CountSpec, resolved: ResolvedCount, policy: PolicyDescription) -> float:
        """Return an operation for each entry and action."""
        del spec
        return float(resolved.entries * policy.actions)

    def memory(self, planned: Planned[CountSpec, ResolvedCount], means: Means) -> float:
        """Return the size of the array."""
        del means
        return float(planned.bytes_raw)


KIND = register(CountKind())
