"""The contract of a decision: one answer on how much of its history a policy may drop, by rollouts."""

from __future__ import annotations

from attnscope_storage.kinds.decision.schema import DecisionSchema, build_decision_schema
from attnscope_storage.wire.contract import Contract, Words, register
from attnscope_storage.wire.policies import PolicyDescription
from attnscope_storage.wire.specifications.decisions import DecisionSpec, ResolvedDecision


def decision_schema(spec: DecisionSpec, resolved: ResolvedDecision, policy: PolicyDescription) -> DecisionSchema:
    """Return the arrays that a decision is stored in."""
    del spec, policy
    return build_decision_schema(
        resolved.parts, resolved.largest_part, resolved.episodes, resolved.steps, resolved.most_rollouts
    )


CONTRACT = register(
    Contract(
        specification=DecisionSpec,
        resolved=ResolvedDecision,
        schema=decision_schema,
        verify="attnscope_storage.kinds.decision.verify:check_decision",
        words=Words(entries="requests", smaller="tasks, episodes or rollouts"),
        not_replayable="a decision stores no context that could be rebuilt; replay a capture of the same checkpoint",
    )
)
"""The contract of a decision, for both sides."""
