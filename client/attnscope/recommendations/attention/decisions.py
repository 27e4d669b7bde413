"""Decisions as a strategy would meet them: the history of each, what was known of it, and what it then attended to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int, Int64

from attnscope.measures.actions import action_numbers, encoded_actions
from attnscope.measures.layout import ContextLayout, weights
from attnscope.measures.places import state_ids
from attnscope.reading.judging import JudgedRows, judge_evenly
from attnscope.reading.marks import known
from attnscope.reading.plan import LEAD
from attnscope.reading.reading import Burst, Reading
from attnscope_model.strategies import ContextView


@dataclass(frozen=True, eq=False)
class Decisions:
    """Some decisions of every rollout."""

    step: Int64[np.ndarray, " decision"]
    view: ContextView
    """Axes ``decision env entry``."""
    mass: Float32[np.ndarray, "decision env layer head entry"]
    """Attention of each decision to each transition of its history."""
    own: Float32[np.ndarray, "decision env layer head"]
    """Attention to the query itself, which is always kept."""
    judged: JudgedRows
    """Their places among the stored rows, and the weight of each."""

    def of(self, envs: Int[np.ndarray, " env"]) -> Decisions:
        """Return the decisions of some rollouts."""
        fields = {field.name: getattr(self.view, field.name) for field in dataclasses.fields(self.view)}
        picked = {name: None if value is None else value[:, envs] for name, value in fields.items()}
        return Decisions(self.step, ContextView(**picked), self.mass[:, envs], self.own[:, envs], self.judged)


def one_of(view: ContextView) -> ContextView:
    """Return the view of one decision of one rollout: enough to ask whether a rule can work with it."""
    fields = {field.name: getattr(view, field.name) for field in dataclasses.fields(view)}
    return ContextView(**{name: None if value is None else value[:1, :1] for name, value in fields.items()})


def history_mass(
    rows: Float[np.ndarray, "row env layer head slot"], length: Int[np.ndarray, "row env"], layout: ContextLayout
) -> tuple[Float32[np.ndarray, "row env layer head entry"], Float32[np.ndarray, "row env layer head"]]:
    """Return the attention to each transition of the history, oldest first, and to the query's own token.

    Tokens of one transition are summed.
    """
    share = weights(rows, length)
    last = (np.asarray(length, np.int64) - 1)[..., None, None, None]
    slot = np.arange(share.shape[-1])
    own_at = last if layout.query_slot == "last" else np.zeros_like(last)
    own = np.take_along_axis(share, np.broadcast_to(own_at, (*share.shape[:-1], 1)), axis=-1)[..., 0]
    history = np.where(slot == own_at, 0 * share, share)
    history = history[..., :-1] if layout.query_slot == "last" else history[..., 1:]
    per = layout.tokens_per_transition
    history = np.pad(history, [(0, 0)] * (history.ndim - 1) + [(0, -history.shape[-1] % per)])
    summed = history.reshape(*history.shape[:-1], -1, per).sum(axis=-1)
    return summed.astype(np.float32), own.astype(np.float32)


def joined(parts: list[Decisions], judged: JudgedRows) -> Decisions:
    """Return the decisions of several blocks of the same rollouts, in the order of the rows that are judged."""
    fields = {}
    for field in dataclasses.fields(ContextView):
        values = [getattr(part.view, field.name) for part in parts]
        fields[field.name] = None if values[0] is None else np.concatenate(values)
    return Decisions(
        np.concatenate([part.step for part in parts]),
        ContextView(**fields),
        np.concatenate([part.mass for part in parts]),
        np.concatenate([part.own for part in parts]),
        judged,
    )


def decide(burst: Burst, reading: Reading) -> Decisions:
    """Return the decisions of a burst's targets; a strategy knows no row before the burst's first."""
    envs, layout, targets = reading.row_envs, reading.layout, burst.targets
    length, start = reading.own_length[burst.step][:, envs], reading.start[burst.step][:, envs]
    mean = history_mass(burst.mean[:, :, None, None], length, layout)[0][:, :, 0, 0]
    mass, own = history_mass(burst.rows[targets - burst.first_whole], length[targets], layout)
    entries = mass.shape[-1]
    count = (length - 1 + layout.tokens_per_transition - 1) // layout.tokens_per_transition
    step = burst.step[targets]
    held = np.arange(entries) < count[targets][..., None]
    transition = start[targets][..., None] + np.arange(entries)
    attention = _aligned(mean, start, count, targets, transition, held)
    seen = np.isfinite(attention)
    even = layout.tokens_per_transition / _lagged(length[..., None].astype(np.float32), targets)
    view = ContextView(
        transition=transition,
        held=held,
        attention=attention,
        accumulated=np.where(seen.any(axis=2), np.where(seen, attention, 0).sum(axis=2), np.nan),
        expected=np.where(seen, even, 0).sum(axis=2),
        lane=np.broadcast_to(reading.envs[envs], held.shape[:2]),
        **_facts(reading, transition, step),
    )
    return Decisions(step, view, mass, own, judge_evenly(len(step)))


def _lagged(
    values: Float32[np.ndarray, "row env entry"], targets: Int64[np.ndarray, " target"]
) -> Float32[np.ndarray, "target env lag entry"]:
    """Return the values of the `LEAD` rows before each target, oldest first; NaN before the first row."""
    index = targets[:, None] - np.arange(LEAD, 0, -1)
    picked = np.where((index >= 0)[:, :, None, None], values[np.maximum(index, 0)], np.float32(np.nan))
    return np.moveaxis(picked, 1, 2)


def _aligned(
    mean: Float32[np.ndarray, "row env entry"],
    start: Int64[np.ndarray, "row env"],
    count: Int64[np.ndarray, "row env"],
    targets: Int64[np.ndarray, " target"],
    transition: Int64[np.ndarray, "target env entry"],
    held: np.ndarray,
) -> Float32[np.ndarray, "target env lag entry"]:
    """Return earlier rows by the identity of the target's transitions; NaN where a row did not see one."""
    rows = _lagged(mean, targets)
    first = _lagged(start[..., None].astype(np.float32), targets)
    many = _lagged(count[..., None].astype(np.float32), targets)
    place = transition[:, :, None, :] - first
    inside = held[:, :, None, :] & (place >= 0) & (place < many)
    at = np.where(inside, place, 0).astype(np.int64)
    return np.where(inside, np.take_along_axis(rows, at, axis=-1), np.float32(np.nan))


def _facts(
    reading: Reading, transition: Int64[np.ndarray, "target env entry"], step: Int64[np.ndarray, " target"]
) -> dict[str, np.ndarray]:
    """Return the rollout's labels of each transition and of the query, under the names of a view's fields."""
    env = np.arange(transition.shape[1])[None, :, None]
    reward, episode, action, observation = (
        None if values is None else values[:, reading.row_envs]
        for values in (reading.reward, reading.episode, reading.action, reading.observation)
    )
    facts: dict[str, np.ndarray] = {}

    def carry(values: np.ndarray) -> np.ndarray:
        return np.asarray(values[np.minimum(transition, len(values) - 1), env])

    if reward is not None:
        facts["reward"] = carry(reward)
    if known(episode):
        facts["episode"] = carry(episode).astype(np.int64)
        facts["query_episode"] = episode[step].astype(np.int64)
    output = reading.capture.policy.output
    acted = action is not None and (bool(np.isfinite(action).all()) if output.continuous else bool((action >= 0).all()))
    if action is not None and acted:
        facts["action"] = carry(action_numbers(action, output))
    if observation is not None:
        facts["state"] = carry(state_ids(observation))
        facts["observation"] = carry(observation.astype(np.float32))
        facts["query_observation"] = observation[step].astype(np.float32)
    if observation is not None and action is not None and acted and reward is not None:
        parts = [observation.astype(np.float32), encoded_actions(action, output), reward[..., None]]
        keys = np.concatenate(parts, axis=-1)
        facts["keys"] = carry(keys)
    return facts
