"""A decision as a kind of job: how it is resolved, what it costs, what runs it."""

from __future__ import annotations

from collections.abc import Callable

from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.sizing import compressions_flops
from attnscope_server.deciding.phases.linking import Linked, linked, unfit
from attnscope_server.deciding.phases.resolving import resolve_decision
from attnscope_server.errors import refusal
from attnscope_server.kinds import Kind, Means, Planned, Referred, register
from attnscope_server.limits import Limits
from attnscope_server.trials.sizing import ENVS_AT_ONCE
from attnscope_storage.kinds.decision.contract import CONTRACT
from attnscope_storage.kinds.decision.schema import DOCUMENT, decoded
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec, Estimate, PolicyDescription, ProblemCode, ResolvedCapture
from attnscope_storage.wire.flops import forward_flops
from attnscope_storage.wire.specifications.decisions import DecisionSpec, ResolvedDecision

ROLLOUT_BYTES = 16
"""Decoded bytes of one step of a tried rollout and of its uncompressed twin."""


class DecisionKind(Kind[DecisionSpec, ResolvedDecision]):
    """Decides by rollouts how much of its history a policy may drop."""

    contract = CONTRACT
    runner = "attnscope_server.deciding.job:run"
    owning = "attnscope_server.deciding.arriving:DecisionOwning"
    alike = ("trial", "capture")

    def resolve_on(
        self, spec: DecisionSpec, referred: Referred | None, registry: CheckpointRegistry, listings: Listings
    ) -> ResolvedDecision:
        """Return what a specification means, given the capture that it links."""
        return resolve_decision(
            spec, registry, listings, None if spec.capture is None else _capture(referred, registry)
        )

    def resolve(self, spec: DecisionSpec, registry: CheckpointRegistry, listings: Listings) -> ResolvedDecision:
        """Return what a specification means on this service."""
        return resolve_decision(spec, registry, listings)

    def flops(self, spec: DecisionSpec, resolved: ResolvedDecision, policy: PolicyDescription) -> float:
        """Return the floating-point operations up to an answer at the first look, whole contexts counted."""
        del spec
        return resolved.first_rollouts * _rollout_flops(resolved, policy)

    def flops_done(
        self,
        spec: DecisionSpec,
        resolved: ResolvedDecision,
        policy: PolicyDescription,
        store: Callable[[], CaptureReader],
    ) -> float:
        """Return the floating-point operations of the rollouts that a decision really took."""
        del spec
        reader = store()
        card = decoded(reader.array(DOCUMENT)[reader.steps_committed - 1]).card
        return card.rollouts * _rollout_flops(resolved, policy)

    def memory(self, planned: Planned[DecisionSpec, ResolvedDecision], means: Means) -> float:
        """Return a guess of the bytes that a decision needs: weights, two requests, contexts and captured rows."""
        del means
        policy, resolved = planned.policy, planned.resolved
        captured = len(resolved.screening_tasks) * resolved.capture_seeds
        rows = 4.0 * captured * resolved.steps * policy.context_length * 2
        contexts = 4.0 * min(ENVS_AT_ONCE, 256) * policy.context_length * policy.width * 12
        return 4 * policy.parameters + 3 * planned.own_bytes / resolved.parts + contexts + rows

    def owned_bytes(self, resolved: ResolvedDecision, policy: PolicyDescription) -> int:
        """Return the decoded size of the stores that the longest decision owns: its capture's rows, and rollouts."""
        captured = 0
        if resolved.capture_store is None:
            row = 2 * policy.layers * policy.heads * policy.context_length
            captured = len(resolved.screening_tasks) * resolved.capture_seeds * resolved.steps * (row + 256)
        return captured + resolved.most_rollouts * resolved.steps * ROLLOUT_BYTES

    def estimate(self, planned: Planned[DecisionSpec, ResolvedDecision], means: Means) -> Estimate:
        """Return what a decision will cost: its time up to an answer at the first look, and at the last one."""
        found = super().estimate(planned, means)
        if found.seconds is None:
            return found
        longer = planned.resolved.most_rollouts / max(1, planned.resolved.first_rollouts)
        return found.model_copy(update={"seconds_most": found.seconds * longer})

    def refuse_large(self, planned: Planned[DecisionSpec, ResolvedDecision], limits: Limits) -> None:
        """Refuse a decision over the cap on decisions of a trial, and say how to ask for less."""
        asked = planned.resolved.most_rollouts * planned.resolved.steps
        if asked > limits.trial_decisions:
            detail = (
                f"this decision takes up to {asked} decisions of the policy, {limits.trial_decisions} are allowed: "
                "name fewer rollouts or episodes"
            )
            raise refusal(ProblemCode.TOO_LARGE, detail, limit=limits.trial_decisions, requested=asked)


def _rollout_flops(resolved: ResolvedDecision, policy: PolicyDescription) -> float:
    """Return the operations of one rollout, whole contexts counted.

    The compressor of a policy that packs its history is counted in every rollout, although its sliding partner packs
    nothing: arms that pack and arms that do not are not told apart before the race.
    """
    whole = resolved.steps * forward_flops(policy, policy.context_length)
    return float(whole + compressions_flops(resolved.steps, policy))


def _capture(referred: Referred | None, registry: CheckpointRegistry) -> Linked:
    """Return the capture that a specification names."""
    if referred is None or not isinstance(referred.spec, CaptureSpec):
        raise unfit("it is no capture")
    assert isinstance(referred.resolved, ResolvedCapture)  # noqa: S101 - specification and meaning are of one kind
    policy = registry.get(referred.resolved.checkpoint_id).policy
    packed = referred.resolved.acting(policy, sliding=referred.spec.sliding).window == "compressed"
    return linked(str(referred.store), referred.spec, referred.resolved, referred.steps_committed, packed=packed)


KIND = register(DecisionKind())
"""The kind of job that a decision is."""
