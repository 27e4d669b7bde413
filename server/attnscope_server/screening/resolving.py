"""The meaning of a screen's specification on this service: arms spelled out, rollouts and decisions chosen.

Knows registries and strategies, not torch: it runs in the service process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import numpy as np

from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression import Compression
from attnscope_model.errors import CheckpointAmbiguousError, CheckpointUnknownError
from attnscope_model.strategies import Strategy, StrategyError, build, strategy
from attnscope_server.capturing.shortening import refuse_whole
from attnscope_server.errors import refusal
from attnscope_server.screening.arms import Arm, arms_of
from attnscope_server.screening.bands import ages_of, episodes_back
from attnscope_server.screening.decisions import chosen_rollouts
from attnscope_storage.wire import CaptureSpec, Condition, PolicyDescription, ProblemCode, ResolvedCapture
from attnscope_storage.wire.specifications.screens import ResolvedScreen, ScreenSpec

BLOCK_DECISIONS: Final = 128
"""Decisions of a block, about: as many share their forwards, and are lost when a screen is interrupted."""

MAX_ARMS: Final = 4_000
"""Arms of a screen."""

NO_ROWS: Final = (
    "the histories hold no attention of every decision, so rules that look at attention are not screened: capture with "
    "rows of every step, layer and head"
)


PACKED_ROWS: Final = (
    "the stored attention is that of contexts with latents, so rules that look at attention are not screened, and no "
    "retained attention is told: capture with --sliding, or without a compressor, to have them"
)


def why_no_rows(acted: PolicyDescription) -> str:
    """Return why rules that look at attention are not screened, where they are not.

    Parameters
    ----------
    acted
        The policy as it acted in the capture.
    """
    return PACKED_ROWS if acted.window == "compressed" else NO_ROWS


@dataclass(frozen=True)
class Captured:
    """The capture that a screen reads."""

    store: UUID
    spec: CaptureSpec
    resolved: ResolvedCapture
    steps: int


def resolve_screen(
    spec: ScreenSpec, found: Captured, registry: CheckpointRegistry, listings: Listings
) -> ResolvedScreen:
    """Return what `spec` means, given the capture that it refers to.

    Raises
    ------
    ProblemError
        The capture has committed nothing, the checkpoint named is not the capture's, or no arm fits.
    """
    _refuse_other(spec, found, registry)
    policy = registry.get(found.resolved.checkpoint_id).policy
    if policy.window != "compressed":  # its partner is the same weights over a sliding window
        refuse_whole(policy, found.resolved.checkpoint_name)
    task = np.repeat([cell.index for cell in found.resolved.tasks], len(found.spec.seeds) * found.spec.replicas)
    acted = found.resolved.acting(policy, sliding=found.spec.sliding)
    rows, without = _whole_rows(found, acted), why_no_rows(acted)
    arms = _arms(spec, policy, without, rows=rows)
    envs = chosen_rollouts(task, spec.decisions)
    each = min(found.steps, max(1, -(-spec.decisions // len(envs))))
    subject: dict[str, Any] = {
        name: getattr(found.resolved, name)
        for name in ("checkpoint_id", "checkpoint_name", "environment_id", "environment_kwargs", "preset", "horizon")
    }
    preset = listings.listing(found.resolved.environment_id).preset(found.resolved.environment_kwargs)
    return ResolvedScreen(
        **subject,
        sampling=found.resolved.sampling,
        tasks=found.resolved.tasks,
        held_out=found.resolved.held_out,
        capture_store=str(found.store),
        steps=found.steps,
        envs=tuple(int(env) for env in envs),
        decisions_each=each,
        block=block_of(each, len(envs)),
        rows=rows,
        most_rewards=preset.most_rewards,
        temperature=found.spec.sampling.temperature if found.resolved.sampling == "sample" else None,
        arms=tuple(spelled(index, arm) for index, arm in enumerate(arms)),
        **_ages(policy, found.resolved.horizon) if spec.ages else {},
        notes=() if rows else (without,),
    )


def _ages(policy: PolicyDescription, horizon: int) -> dict[str, Any]:
    """Return the parts of the history that are left out one at a time."""
    ages = ages_of(policy, episodes_back(policy.transitions, horizon))
    return {"bands": ages.bands, "episodes_back": ages.episodes, "age_positions": ages.positions}


def block_of(decisions_each: int, rollouts: int) -> int:
    """Return how many rollouts are judged together."""
    return max(1, min(rollouts, BLOCK_DECISIONS // decisions_each))


def setup_of(condition: Condition) -> Compression:
    """Return the compression that a resolved arm stands for."""
    made = strategy(condition.strategy, **condition.parameters)
    return Compression(
        made, condition.budget, condition.positions, condition.interval, condition.memory, condition.path
    )


def _refuse_other(spec: ScreenSpec, found: Captured, registry: CheckpointRegistry) -> None:
    """Refuse a capture that has committed nothing, or is of another checkpoint than the one named."""
    if found.steps == 0:
        raise refusal(
            ProblemCode.INVALID_REQUEST, f"capture: job {spec.capture} has committed no step yet; wait for it"
        )
    if not spec.checkpoint:
        return
    try:
        named = registry.get(spec.checkpoint)
    except CheckpointUnknownError as error:
        raise refusal(ProblemCode.UNKNOWN_CHECKPOINT, error.message) from error
    except CheckpointAmbiguousError as error:
        raise refusal(ProblemCode.AMBIGUOUS_NAME, error.message) from error
    if named.id != found.resolved.checkpoint_id:
        detail = f"checkpoint: the capture is of {found.resolved.checkpoint_name}, not of {spec.checkpoint}"
        raise refusal(ProblemCode.INVALID_REQUEST, detail)


def _whole_rows(found: Captured, acted: PolicyDescription) -> bool:
    if acted.window == "compressed":
        return False
    rows, resolved = found.spec.rows, found.resolved
    whole = (resolved.envs, acted.layers, acted.heads)
    kept = (len(resolved.row_envs), len(resolved.row_layers), len(resolved.row_heads))
    stored = rows.enabled and resolved.row_form != "none"
    return stored and rows.every == 1 and kept == whole


def _arms(spec: ScreenSpec, policy: PolicyDescription, without: str, *, rows: bool) -> list[Arm]:
    rules = None if spec.strategies is None else _rules(spec)
    arms = arms_of(
        policy,
        rules,
        spec.budgets,
        spec.positions,
        spec.intervals,
        spec.memories,
        attention=rows,
        oracles=spec.oracles,
        most=MAX_ARMS + 1,
    )
    if not arms:
        why = "" if rows else f"; {without}"
        raise refusal(ProblemCode.INVALID_REQUEST, f"no strategy, budget and position policy named fit the policy{why}")
    if len(arms) > MAX_ARMS:
        detail = f"this screen has more than {MAX_ARMS} arms: name fewer strategies, budgets, positions or intervals"
        raise refusal(ProblemCode.TOO_LARGE, detail, limit=MAX_ARMS, requested=len(arms))
    return arms


def _rules(spec: ScreenSpec) -> Sequence[Strategy]:
    rules: list[Strategy] = []
    for index, choice in enumerate(spec.strategies or ()):
        try:
            made = build(choice.name, choice.parameters)
        except StrategyError as error:
            raise refusal(ProblemCode.INVALID_REQUEST, f"strategies.{index}: {error}") from error
        if made in rules:
            raise refusal(ProblemCode.INVALID_REQUEST, f"strategies.{index}: {made} is named twice")
        rules.append(made)
    return rules


def spelled(index: int, arm: Arm) -> Condition:
    """Return an arm as the wire has it."""
    setup = arm.setup
    return Condition(
        index=index,
        strategy=setup.rule.name,
        parameters=setup.rule.parameters,
        text=str(setup.rule),
        budget=setup.budget,
        positions=setup.positions,
        interval=setup.interval,
        memory=setup.memory,
        path=setup.path,
        control=False,
        oracle=not arm.deployable,
        oracle_reason=arm.oracle_reason,
    )
