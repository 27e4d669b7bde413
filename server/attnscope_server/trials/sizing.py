"""A resolved trial as arrays: the schema it is stored with, what it will cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from attnscope_model.strategies import strategy
from attnscope_model.strategies.fitting import ATTENTION
from attnscope_model.strategies.learned import Latents, packing_memory, packing_work
from attnscope_storage.kinds.trial.schema import ARMS, PHASES, TrialSchema
from attnscope_storage.layout.store_schema import SPLITS, StoreSchema
from attnscope_storage.wire import Condition, PolicyDescription, ResolvedTrial, TrialSpec
from attnscope_storage.wire.flops import forward_flops

WRITER_BLOCKS = 2
"""Conditions that rollout and writer share."""

MOST_STEPS = 100_000
"""Steps of a rollout whose compressions are added up one by one, about."""

ENVS_AT_ONCE = 4096
"""Environments whose contexts are in memory at once, at most: what a wave may hold."""


def static_arrays(schema: TrialSchema, spec: TrialSpec, resolved: ResolvedTrial) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a trial that do not grow."""
    splits = [-1 if cell.split is None else SPLITS.index(cell.split) for cell in resolved.tasks]
    known: dict[str, np.ndarray[Any, Any]] = {
        "env/seed": np.array(spec.seeds, np.int64),
        "env/task": np.array([cell.index for cell in resolved.tasks], np.int32),
        "env/split": np.array(splits, np.int8),
        "divergence/step": np.array(resolved.divergence_steps, np.int32),
        "kept/step": np.array(resolved.kept_steps, np.int32),
        "speed/envs": np.array(schema.dims.speed_envs, np.int32),
    }
    return {name: value for name, value in known.items() if name in schema.arrays}


def condition_bytes(schema: StoreSchema) -> int:
    """Return the decoded bytes of one condition's results."""
    grown = sum(array.nbytes for array in schema.arrays.values() if array.growth != "static")
    return grown // schema.total


def kept_of(condition: Condition, held: Int[np.ndarray, " held"]) -> Int[np.ndarray, " held"]:
    """Return the transitions that a condition may keep of so many."""
    if condition.budget is None:
        return held
    if isinstance(condition.budget, int):
        allowed = np.full_like(held, condition.budget)
    else:
        allowed = np.maximum(1, np.floor(held * condition.budget).astype(np.int64))
    kept: Int[np.ndarray, " held"] = np.minimum(allowed, held)
    return kept


def decisions(spec: TrialSpec, resolved: ResolvedTrial, policy: PolicyDescription) -> int:
    """Return the decisions that a trial takes: those of its rollouts, of divergences and of what is timed.

    A strategy that leaves transitions out in turn takes one for each.
    """
    rolled = resolved.envs * (resolved.steps + 2 * len(resolved.divergence_steps))
    extra = 0.0
    for one in resolved.conditions:
        if "influence" in _uses(one):
            own = policy_of(one, resolved, policy)
            held, times = _histories(resolved, own)
            extra += float(_often(one, held, own) @ (times * held)) * resolved.envs
    return len(resolved.conditions) * (rolled + _timed(spec)) + round(extra)


def trial_flops(spec: TrialSpec, resolved: ResolvedTrial, policy: PolicyDescription) -> float:
    """Return the floating-point operations of a whole trial, but for what strategies compute without the policy.

    Whole contexts are counted where a mask hides them, and at each selection that reads rows of one, or leaves one
    transition after another out of it.
    """
    if resolved.checkpoints:
        parts = [
            (policy_of(condition, resolved, policy), resolved.model_copy(update={"conditions": (condition,)}))
            for condition in resolved.conditions
        ]
        alone = {"checkpoints": ()}
        return sum(trial_flops(spec, part.model_copy(update=alone), own) for own, part in parts)
    per = policy.tokens_per_transition
    one = np.array([forward_flops(policy, kept * per + 1) for kept in range(policy.transitions + 1)])
    held, times = _histories(resolved, policy)

    def rolled(condition: Condition) -> float:
        decided = one[held] if condition.positions == "mask" else one[kept_of(condition, held)]
        uses = _uses(condition)
        looked = np.zeros(len(held))
        if "influence" in uses:
            looked += held * one[np.maximum(held - 1, 0)]
        if uses & ATTENTION and condition.memory == "stateless":
            looked += one[held]
        work = float(times @ (decided + _often(condition, held, policy) * looked))
        return work + packing_flops(condition, resolved.steps, policy)

    beside = (resolved.envs * 2 * len(resolved.divergence_steps) + _timed(spec)) * float(one[-1])
    return sum(resolved.envs * rolled(condition) + beside for condition in resolved.conditions)


def packing_flops(condition: Condition, steps: int, policy: PolicyDescription) -> float:
    """Return the operations of a compressor over one rollout; 0 where a condition packs nothing, or nobody counts."""
    if condition.strategy != Latents.name:
        return 0.0
    rule = strategy(condition.strategy, **condition.parameters)
    assert isinstance(rule, Latents)  # noqa: S101 - by its name
    every = max(1, steps // MOST_STEPS)  # a long rollout is told from some of its steps
    seen = np.arange(0, steps, every) * policy.tokens_per_transition
    return float(np.nansum(packing_work(rule, policy, seen))) * steps / max(1, len(seen))


def policy_of(condition: Condition, resolved: ResolvedTrial, policy: PolicyDescription) -> PolicyDescription:
    """Return the policy that acts in a condition, given that of the trial's own checkpoint."""
    return resolved.checkpoints[condition.checkpoint].policy if resolved.checkpoints else policy


def _histories(
    resolved: ResolvedTrial, policy: PolicyDescription
) -> tuple[Int[np.ndarray, " held"], Float[np.ndarray, " held"]]:
    """Return the transitions that an uncompressed context holds, and at how many steps it holds so many."""
    full = policy.transitions
    held = np.append(np.arange(min(resolved.steps, full)), full)
    return held, np.append(np.ones(len(held) - 1), max(0, resolved.steps - full))


def _often(
    condition: Condition, held: Int[np.ndarray, " held"], policy: PolicyDescription
) -> Float[np.ndarray, " held"]:
    """Return how often a selection is made at a step."""
    if condition.interval == "full":
        return np.asarray(held == policy.transitions, np.float64)
    return np.full(len(held), 1.0 / condition.interval)


def _uses(condition: Condition) -> frozenset[str]:
    return strategy(condition.strategy, **condition.parameters).uses


def trial_memory(resolved: ResolvedTrial, policy: PolicyDescription, schema: StoreSchema) -> float:
    """Return a guess of the bytes that a trial needs in a worker: weights, blocks and contexts."""
    envs = min(resolved.envs * len(resolved.conditions), max(ENVS_AT_ONCE, resolved.envs))
    every = [one.policy for one in resolved.checkpoints] or [policy]
    contexts = 4 * envs * max(one.context_length * one.width for one in every) * 12
    weights = 4 * sum(one.parameters for one in every)
    packed = (packing_moment(one, resolved.steps, policy_of(one, resolved, policy)) for one in resolved.conditions)
    moment = resolved.envs * max(packed, default=0)
    return weights + (WRITER_BLOCKS + 1) * condition_bytes(schema) + contexts + moment


def packing_moment(condition: Condition, steps: int, policy: PolicyDescription) -> int:
    """Return the bytes that a rollout's largest compression takes for a moment; 0 where a condition packs nothing."""
    if condition.strategy != Latents.name:
        return 0
    rule = strategy(condition.strategy, **condition.parameters)
    assert isinstance(rule, Latents)  # noqa: S101 - by its name
    return packing_memory(rule, policy, steps)


def _timed(spec: TrialSpec) -> int:
    """Return the decisions of a condition that are timed, both arms."""
    speed = spec.speed
    if not speed.enabled:
        return 0
    return len(PHASES) * len(ARMS) * speed.rounds * speed.decisions * sum(speed.envs)
