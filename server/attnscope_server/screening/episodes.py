"""Known facts of the decisions of stored rollouts: episodes, live decisions, rewards before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int


@dataclass(frozen=True, eq=False)
class Episodes:
    """Every decision of some rollouts, placed in its episode."""

    number: Int[np.ndarray, "rollout step"]
    """Episode of each decision, from 0."""
    live: Bool[np.ndarray, "rollout step"]
    """True where a reward can still follow in the episode, as far as the environment declares it."""
    follows: Bool[np.ndarray, "rollout step"]
    """True where a reward did follow in the episode, that of the decision's own action counted."""
    found: Bool[np.ndarray, "rollout step"]
    """True where the rollout had any reward before the decision."""
    live_each: Float64[np.ndarray, " rollout"]
    """Live decisions of an episode, the mean over whole episodes; of the whole rollout where none ended."""
    count: Int[np.ndarray, " rollout"]
    """Episodes of each rollout, a last one that did not end counted."""
    late: Float64[np.ndarray, " rollout"]
    """Return of an episode, mean over the last third of the whole ones; of the whole rollout where none ended."""


def episodes_of(
    reward: Float[np.ndarray, "rollout step"], ended: Bool[np.ndarray, "rollout step"], most_rewards: int | None
) -> Episodes:
    """Return what is known of every decision.

    Parameters
    ----------
    most_rewards
        Rewards other than 0 that an episode can give, as the environment declares it; None: any number, so that every
        decision is live.
    """
    whole = np.cumsum(ended, axis=1)
    number = whole - ended
    rewarded = reward != 0
    before = np.cumsum(rewarded, axis=1) - rewarded
    count = number[:, -1] + 1
    # Rewards of the episode so far: those of the rollout so far, less those before the episode began.
    begins = np.concatenate([np.ones((len(ended), 1), bool), ended[:, :-1].astype(bool)], axis=1)
    at_start = np.maximum.accumulate(np.where(begins, before, 0), axis=1)
    so_far = before - at_start
    live = np.ones(reward.shape, bool) if most_rewards is None else so_far < most_rewards
    total = np.zeros((len(reward), int(count.max())), np.int64)
    lanes = np.broadcast_to(np.arange(len(reward))[:, None], reward.shape)
    np.add.at(total, (lanes, number), rewarded)
    return Episodes(
        number=number,
        live=live,
        follows=total[lanes, number] > so_far,
        found=before > 0,
        live_each=_live_each(live, number, whole[:, -1]),
        count=count,
        late=_late(reward, number, whole[:, -1]),
    )


def _late(
    reward: Float[np.ndarray, "rollout step"],
    number: Int[np.ndarray, "rollout step"],
    ended: Int[np.ndarray, " rollout"],
) -> Float64[np.ndarray, " rollout"]:
    """Return what a late episode gives; the last third of the whole episodes is at least one."""
    first = np.where(ended > 0, ended - np.maximum(1, -(-ended // 3)), 0)[:, None]
    inside = (number >= first) & ((number < ended[:, None]) | (ended[:, None] == 0))
    many = np.where(ended > 0, ended - first[:, 0], 1)
    return np.asarray((reward * inside).sum(axis=1, dtype=np.float64) / many, np.float64)


def _live_each(
    live: Bool[np.ndarray, "rollout step"], number: Int[np.ndarray, "rollout step"], ended: Int[np.ndarray, " rollout"]
) -> Float64[np.ndarray, " rollout"]:
    inside = live & ((number < ended[:, None]) | (ended[:, None] == 0))
    return np.asarray(inside.sum(axis=1) / np.maximum(ended, 1), np.float64)
