"""A trial as a kind of job: how it is resolved, what it costs, which caps it has, what runs it."""

from __future__ import annotations

from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.errors import refusal
from attnscope_server.kinds import Kind, Means, Planned, register
from attnscope_server.limits import Limits
from attnscope_server.trials.resolving import resolve_trial
from attnscope_server.trials.sizing import condition_bytes, decisions, trial_flops, trial_memory
from attnscope_storage.kinds.trial.contract import CONTRACT
from attnscope_storage.wire import PolicyDescription, ProblemCode, ResolvedTrial, TrialSpec


class TrialKind(Kind[TrialSpec, ResolvedTrial]):
    """Rolls a policy out under strategies and budgets, paired with itself uncompressed."""

    contract = CONTRACT
    runner = "attnscope_server.trials.job:run"

    def resolve(self, spec: TrialSpec, registry: CheckpointRegistry, listings: Listings) -> ResolvedTrial:
        """Return what a specification means on this service."""
        return resolve_trial(spec, registry, listings)

    def flops(self, spec: TrialSpec, resolved: ResolvedTrial, policy: PolicyDescription) -> float:
        """Return the floating-point operations of a whole trial."""
        return trial_flops(spec, resolved, policy)

    def memory(self, planned: Planned[TrialSpec, ResolvedTrial], means: Means) -> float:
        """Return a guess of the bytes that a trial needs."""
        del means
        return trial_memory(planned.resolved, planned.policy, planned.schema)

    def refuse_large(self, planned: Planned[TrialSpec, ResolvedTrial], limits: Limits) -> None:
        """Refuse a trial over a cap, and say how to ask for less."""
        needed = condition_bytes(planned.schema)
        asked = decisions(planned.spec, planned.resolved, planned.policy)
        fewer = "name fewer strategies, budgets, position policies, tasks, seeds or episodes, or time fewer decisions"
        for requested, limit, what, remedy in (
            (asked, limits.trial_decisions, "takes {} decisions", fewer),
            (
                needed,
                limits.trial_condition_bytes,
                "stores {} bytes a condition",
                "name fewer seeds, episodes or steps",
            ),
        ):
            if requested > limit:
                detail = f"this trial {what.format(requested)}, {limit} are allowed: {remedy}"
                raise refusal(ProblemCode.TOO_LARGE, detail, limit=limit, requested=requested)


KIND = register(TrialKind())
"""The kind of job that a trial is."""
