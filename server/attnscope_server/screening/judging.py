"""The screen: every arm at the judged decisions of stored histories, block by block of rollouts.

Blocks know nothing of each other, so a screen that goes on from any block has the bits of an uninterrupted one. Knows
nothing of jobs, stores or processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int

from attnscope_model.compression import Compression, unfit
from attnscope_model.errors import CompressionUnfitError
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.stack import StackedPolicy
from attnscope_model.strategies import looks_at_attention, why_not
from attnscope_model.strategies.learned import Latents
from attnscope_server.screening.arms import Arm, arm_of, arms_of
from attnscope_server.screening.bands import Ages, ages_of, episodes_touched
from attnscope_server.screening.block import Block, moments_of
from attnscope_server.screening.decisions import DECISIONS, chosen_rollouts, chosen_steps
from attnscope_server.screening.episodes import episodes_of
from attnscope_server.screening.histories import Histories, Source
from attnscope_server.screening.keeping import Frame
from attnscope_server.screening.measuring import Arrays, Measured
from attnscope_server.screening.resolving import NO_ROWS, block_of, spelled
from attnscope_server.screening.walking import Walk
from attnscope_storage.wire.specifications.arms import PositionPolicy
from attnscope_storage.wire.specifications.trials import Condition


@dataclass(frozen=True)
class Plan:
    """The arms and decisions that a screen judges."""

    arms: tuple[Arm, ...]
    rollouts: Int[np.ndarray, " chosen"]
    """Rollouts of the source that are judged."""
    steps: Int[np.ndarray, "chosen decision"]
    temperature: float | None = 1.0
    """Of the actions; None is greedy."""
    most_rewards: int | None = None
    """Rewards other than 0 that an episode can give, as the environment declares it."""
    ages: Ages | None = None
    """Parts of the history that are left out one at a time; None: none."""

    @property
    def blocks(self) -> list[slice]:
        """The rollouts of every block, as places among those that are judged."""
        each = block_of(self.steps.shape[1], len(self.rollouts))
        return [slice(first, min(first + each, len(self.rollouts))) for first in range(0, len(self.rollouts), each)]


@dataclass(frozen=True, eq=False)
class Screened:
    """The result of a screen: its arms, and arrays by the names of `attnscope_storage.kinds.screen.schema`."""

    plan: Plan
    task: Int[np.ndarray, " rollout"]
    """Task of every judged rollout."""
    arrays: Arrays
    notes: tuple[str, ...] = ()
    """The arms that were left out, with the reasons."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The arms as a job's answer spells them."""
        return tuple(spelled(index, arm) for index, arm in enumerate(self.plan.arms))


def screen(
    policy: Policy,
    histories: Source,
    arms: Sequence[Compression] | None = None,
    *,
    decisions: int = DECISIONS,
    seed: int = 0,
    temperature: float | None = 1.0,
    most_rewards: int | None = None,
    oracles: bool = False,
    ages: bool = False,
    device: torch.device | None = None,
) -> Screened:
    """Return how a policy's decisions change under every arm, on stored histories of it uncompressed.

    Parameters
    ----------
    policy
        The policy that is judged.
    histories
        Rollouts of this very policy.
    arms
        None: every deployable rule at several shares and positions.
    decisions
        Judged, at least; spread over rollouts.
    seed
        Of the draw of decisions.
    temperature
        At which the histories' actions were drawn; None is greedy.
    most_rewards
        Rewards other than 0 that an episode can give, where the environment declares it: what comes after is not live.
    oracles
        Without `arms`: judge rules that look at full attention too, as bounds.
    ages
        Leave out each band of ages, one transition of each and each episode too, one at a time.
    device
        Where forwards run; the CPU where None.

    Raises
    ------
    CompressionUnfitError
        An arm does not fit the policy, or looks at attention that the histories do not hold.

    Examples
    --------
    >>> screened = screen(policy, histories, decisions=256)  # doctest: +SKIP
    >>> screened.arrays["screen/departure"].shape  # doctest: +SKIP
    (32, 100, 8)
    """
    chosen = [arm_of(setup) for setup in arms] if arms is not None else None
    if chosen is None:
        stacked: tuple[PositionPolicy, ...] | None = None if isinstance(policy, StackedPolicy) else ("reindex",)
        chosen = arms_of(policy.description, positions=stacked, attention=histories.has_rows, oracles=oracles)
    plan = plan_screen(histories, chosen, decisions, seed, temperature, most_rewards)
    if ages:
        ended = histories.read(plan.rollouts).ended
        plan = replace(plan, ages=ages_of(policy.description, episodes_touched(ended, policy.description.transitions)))
    where = torch.device("cpu") if device is None else device
    parts = [screen_block(policy, histories, plan, block, where) for block in plan.blocks]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Screened(plan, histories.task[plan.rollouts], arrays, () if histories.has_rows else (NO_ROWS,))


def plan_screen(
    histories: Source,
    arms: Sequence[Arm],
    decisions: int = DECISIONS,
    seed: int = 0,
    temperature: float | None = 1.0,
    most_rewards: int | None = None,
) -> Plan:
    """Return what a screen judges: the arms, deployable ones first, and which decisions.

    Raises
    ------
    CompressionUnfitError
        An arm looks at attention that the histories do not hold.
    """
    blind = next((arm for arm in arms if looks_at_attention(arm.setup.rule)), None) if not histories.has_rows else None
    if blind is not None:
        raise CompressionUnfitError(f"{blind.setup.rule}: {NO_ROWS}")
    rollouts = chosen_rollouts(histories.task, decisions)
    steps = chosen_steps(histories.steps, rollouts, decisions, seed)
    ordered = tuple(sorted(arms, key=lambda arm: not arm.deployable))
    return Plan(ordered, rollouts, steps, temperature, most_rewards)


def screen_block(
    policy: Policy,
    histories: Source,
    plan: Plan,
    block: slice,
    device: torch.device,
    before_step: Callable[[], None] = lambda: None,
) -> Arrays:
    """Return the arrays of the rollouts of one block, [rollout, ...].

    Parameters
    ----------
    block
        Places among the judged rollouts, one of `Plan.blocks`.
    before_step
        Called before every piece of work; stops everything by raising.

    Raises
    ------
    CompressionUnfitError
        An arm does not fit the policy.
    """
    read, steps = histories.read(plan.rollouts[block]), plan.steps[block]
    setups = [arm.setup for arm in plan.arms]
    refuse_unfit(policy, setups)
    with torch.inference_mode():
        measured = Measured(Block(policy, read, device), steps, setups, plan.temperature, before_step)
        parts, seconds = [], [measured.seconds]
        for deployable in (True, False):
            begun = time.process_time()
            mine = [arm.setup for arm in plan.arms if arm.deployable == deployable]
            parts += [measured.arms(mine)] if mine else []
            seconds.append(time.process_time() - begun)
        arrays = {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
        arrays[policy.description.output.array] = measured.logits
        begun = time.process_time()
        arrays |= measured.ages(plan.ages) if plan.ages is not None else {}
        seconds.append(time.process_time() - begun)
    each = np.array(seconds, np.float32) / len(read.task)
    description = policy.description
    per = description.tokens_per_transition
    held = np.minimum(steps, (description.context_length - 1) // per) * per
    arrays["decision/held"] = held.astype(np.int32)
    return arrays | _described(read, steps, plan) | {"cost/seconds": np.tile(each, (len(read.task), 1))}


def own_logits(
    policy: Policy,
    read: Histories,
    steps: Int[np.ndarray, "rollout decision"],
    device: torch.device,
    before_step: Callable[[], None] = lambda: None,
) -> Float[np.ndarray, "rollout decision action"]:
    """Return the decisions of a policy that packs its history, as it acts by itself.

    Parameters
    ----------
    read, steps
        Whole rollouts, and the decisions of each.
    before_step
        Called before every step; stops everything by raising.
    """
    with torch.inference_mode():
        frame = Frame(Block(policy, read, device), moments_of(steps, device), longest=1)
        walk = Walk(frame, [Compression(Latents(), memory="stateful")], before_step)
        return np.asarray(walk.logits[0].view(*steps.shape, -1).cpu().numpy())


def refuse_unfit(policy: Policy, setups: Sequence[Compression]) -> None:
    """Refuse arms that do not fit a policy.

    Raises
    ------
    CompressionUnfitError
        One does not, and why.
    """
    for setup in setups:
        reason = unfit(policy.description, setup.positions, setup.memory, setup.path) or why_not(
            setup.rule, policy.description, setup.positions, setup.memory, setup.path
        )
        if reason is None and setup.positions != "reindex" and not isinstance(policy, StackedPolicy):
            family = policy.description.family
            reason = f"expected positions reindex: the family {family} does not say where its tokens stand"
        if reason is not None:
            raise CompressionUnfitError(f"{setup.rule} under {setup.positions}: {reason}")


def _described(read: Histories, steps: Int[np.ndarray, "rollout decision"], plan: Plan) -> Arrays:
    """Return what is known of the judged decisions and of their rollouts."""
    episodes = episodes_of(read.reward, read.ended.astype(bool), plan.most_rewards)
    rows = np.arange(len(steps))[:, None]
    return {
        "decision/step": steps.astype(np.int32),
        "decision/episode": episodes.number[rows, steps].astype(np.int32),
        "decision/live": episodes.live[rows, steps].astype(np.int8),
        "decision/follows": episodes.follows[rows, steps].astype(np.int8),
        "decision/found": episodes.found[rows, steps].astype(np.int8),
        "rollout/live_each": episodes.live_each.astype(np.float32),
        "rollout/episodes": episodes.count.astype(np.int32),
        "rollout/late_return": episodes.late.astype(np.float32),
        "rollout/earned": (read.reward != 0).any(axis=1).astype(np.int8),
    }
