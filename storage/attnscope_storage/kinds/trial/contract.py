"""The contract of a trial: one policy under strategies and budgets, paired with itself uncompressed."""

from __future__ import annotations

from attnscope_storage.kinds.trial.schema import TrialDims, TrialSchema, build_trial_schema
from attnscope_storage.wire.contract import Contract, Words, register
from attnscope_storage.wire.policies import PolicyDescription
from attnscope_storage.wire.specifications.trials import ResolvedTrial, TrialSpec


def trial_schema(spec: TrialSpec, resolved: ResolvedTrial, policy: PolicyDescription) -> TrialSchema:
    """Return the arrays that a trial is stored in."""
    speed = spec.speed
    return build_trial_schema(
        TrialDims(
            conditions=len(resolved.conditions),
            seeds=len(spec.seeds),
            tasks=len(resolved.tasks),
            episodes=spec.episodes,
            horizon=resolved.horizon,
            actions=policy.actions,
            output=policy.output,
            tokens=max(policy.transitions, *(one.policy.transitions for one in resolved.checkpoints), 0),
            divergence_steps=resolved.divergence_steps,
            kept_steps=resolved.kept_steps,
            speed_envs=speed.envs if speed.enabled else (),
            speed_rounds=speed.rounds,
        )
    )


CONTRACT = register(
    Contract(
        specification=TrialSpec,
        resolved=ResolvedTrial,
        schema=trial_schema,
        verify="attnscope_storage.kinds.trial.verify:check_trial",
        words=Words(entries="conditions", smaller="conditions, tasks, seeds, episodes or kept steps"),
        optional=("divergence/", "kept/", "speed/"),
        not_replayable="a trial stores no context that could be rebuilt; replay a capture of the same checkpoint",
    )
)
"""The contract of a trial, for both sides."""
