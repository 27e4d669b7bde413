"""A decision as a kind of job: how it is resolved, what it costs, what runs it."""

from __future__ import annotations

from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.deciding.phases.resolving import resolve_decision
from attnscope_server.errors import refusal
from attnscope_server.kinds import Kind, Means, Planned, register
from attnscope_server.settings import Limits
from attnscope_server.trials.plan import ENVS_AT_ONCE
from attnscope_storage.kinds.decision.contract import CONTRACT
from attnscope_storage.wire import PolicyDescription, ProblemCode
from attnscope_storage.wire.decisions import DecisionSpec, ResolvedDecision
from attnscope_storage.wire.flops import forward_flops


class DecisionKind(Kind[DecisionSpec, ResolvedDecision]):
    """Decides by rollouts how much of its history a policy may drop."""

    contract = CONTRACT
    runner = "attnscope_server.deciding.job:run"

    def resolve(self, spec: DecisionSpec, registry: CheckpointRegistry, listings: Listings) -> ResolvedDecision:
        """Return what a specification means on this service."""
        return resolve_decision(spec, registry, listings)

    def flops(self, spec: DecisionSpec, resolved: ResolvedDecision, policy: PolicyDescription) -> float:
        """Return the floating-point operations up to an answer at the first look, whole contexts counted."""
        del spec
        return float(resolved.first_rollouts * resolved.steps * forward_flops(policy, policy.context_length))

    def memory(self, planned: Planned[DecisionSpec, ResolvedDecision], means: Means) -> float:
        """Return a guess of the bytes that a decision needs: weights, two requests, contexts and captured rows."""
        del means
        policy, resolved = planned.policy, planned.resolved
        captured = len(resolved.screening_tasks) * resolved.capture_seeds
        rows = 4.0 * captured * resolved.steps * policy.context_length * 2
        contexts = 4.0 * min(ENVS_AT_ONCE, 256) * policy.context_length * policy.width * 12
        return 4 * policy.parameters + 3 * planned.bytes_raw / resolved.parts + contexts + rows

    def refuse_large(self, planned: Planned[DecisionSpec, ResolvedDecision], limits: Limits) -> None:
        """Refuse a decision over the cap on decisions of a trial, and say how to ask for less."""
        asked = planned.resolved.most_rollouts * planned.resolved.steps
        if asked > limits.trial_decisions:
            detail = (
                f"this decision takes up to {asked} decisions of the policy, {limits.trial_decisions} are allowed: "
                "name fewer rollouts or episodes"
            )
            raise refusal(ProblemCode.TOO_LARGE, detail, limit=limits.trial_decisions, requested=asked)


KIND = register(DecisionKind())
"""The kind of job that a decision is."""
