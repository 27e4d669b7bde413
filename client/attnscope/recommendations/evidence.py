"""The measures that the patterns rest on, streamed over a reading: one number a rollout, layer and head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from attnscope.measures.anchors import self_mass, sink_mass
from attnscope.measures.baselines import over_uniform, uniform_rows
from attnscope.measures.coverage import positions_for_mass
from attnscope.measures.intervals import Estimate, Resampling, default_scope
from attnscope.measures.layout import ContextLayout, slot_transitions, weights
from attnscope.measures.places import is_episode_start, marks_of, mass_on, reward_sign, same_state, state_ids
from attnscope.measures.profiles import relative_profile
from attnscope.measures.recency import recency_mass
from attnscope.measures.spread import distance_from_uniform, normalised_entropy
from attnscope.measures.streaming import RolloutMean
from attnscope.recommendations.reading import BLOCK_BYTES, Block, Labels, Reading

WINDOWS = (5, 10, 20)
"""Tokens that count as recent."""

LEVEL = 0.8
"""Share of the attention that 'a few positions' must hold, as in the guide."""

LENGTHS = 0.9
"""Where no context is full: contexts of at least this share of the longest count."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Means over the rows that count: those of full contexts, or of the longest that there are."""

    values: dict[str, Float64[np.ndarray, "env ..."]]
    """By measure, one entry a rollout; layers and heads where the measure has them."""
    baselines: dict[str, Float64[np.ndarray, "env ..."]]
    """What uniform attention gives over the same contexts."""
    least: int
    """Tokens of the shortest context that counts."""
    most: int
    """Tokens of the longest context."""
    resampling: Resampling

    def estimate(self, name: str, cell: int | None = None) -> Estimate:
        """Return a measure averaged over layers and heads, beside its baseline; `cell` picks of a last axis."""
        values, baseline = self.values[name], self.baselines.get(name)
        if cell is not None:
            values, baseline = values[..., cell], None if baseline is None else baseline[..., cell]
        return self.resampling.estimate(_heads_last(values), None if baseline is None else _heads_last(baseline))

    def lift(self, name: str, cell: int | None = None) -> Estimate:
        """Return the ratio to the baseline."""
        values, baseline = self.values[name], self.baselines[name]
        if cell is not None:
            values, baseline = values[..., cell], baseline[..., cell]
        return self.resampling.ratio(_heads_last(values), _heads_last(baseline))


def least_length(length: Int[np.ndarray, "step env"], full: int) -> int:
    """Return the shortest context that counts: a full one where every rollout has any, else nearly the longest."""
    if bool((length == full).any(axis=0).all()):
        return full
    return int(np.ceil(LENGTHS * length.max()))


class Gathering:
    """Takes in blocks of rows and keeps the measures' means."""

    def __init__(self, reading: Reading) -> None:
        self._labels, self._layout = reading.labels, reading.layout
        length = self._labels.length[reading.counted_steps]
        self._least = least_length(length, reading.capture.policy.context_length)
        self._most = int(length.max())
        self._means: dict[str, RolloutMean] = {}
        self._even: dict[str, RolloutMean] = {}

    def add(self, block: Block) -> None:
        """Measure the rows of a block that were not counted before, a few at a time."""
        few = max(1, BLOCK_BYTES // (block.rows[:1].size * 2))
        for first in range(block.fresh, len(block.step), few):
            self._add(block.step[first : first + few], block.rows[first : first + few].astype(np.float64))

    def _add(self, step: Int64[np.ndarray, " row"], rows: Float64[np.ndarray, "row env layer head slot"]) -> None:
        length = self._labels.length[step]
        marks = _marks(self._labels, step, rows.shape[-1], self._layout)
        for name, measure in _measures(self._layout, marks).items():
            self._means.setdefault(name, RolloutMean()).add(measure(rows, length), length >= self._least)
        for name, baseline in _baselines(self._layout, marks, length, rows.shape[-1]).items():
            self._even.setdefault(name, RolloutMean()).add(baseline, length >= self._least)

    @property
    def evidence(self) -> Evidence:
        """What was measured."""
        task = self._labels.task
        return Evidence(
            {name: mean.mean for name, mean in self._means.items()},
            {name: mean.mean for name, mean in self._even.items()},
            self._least,
            self._most,
            Resampling(task, default_scope(task)),
        )


Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Takes rows and context lengths."""


def _measures(layout: ContextLayout, marks: dict[str, np.ndarray]) -> dict[str, Measure]:
    found: dict[str, Measure] = {
        "entropy": normalised_entropy,
        "flatness": distance_from_uniform,
        "self": lambda rows, length: self_mass(rows, length, layout),
        "sink": lambda rows, length: sink_mass(rows, length, layout),
        "recency": lambda rows, length: recency_mass(rows, length, WINDOWS, layout),
        "positions": lambda rows, length: positions_for_mass(rows, length, (LEVEL,))[..., 0] / length[..., None, None],
        "shared_positions": _shared_positions,
        "profile": lambda rows, length: relative_profile(rows, length, layout),
    }
    for name, mark in marks.items():
        found[name] = lambda rows, length, mark=mark: mass_on(rows, length, mark)  # type: ignore[misc]  # bound now
    return found


def _baselines(
    layout: ContextLayout, marks: dict[str, np.ndarray], length: Int64[np.ndarray, "step env"], slots: int
) -> dict[str, Float64[np.ndarray, ...]]:
    """Return what the same functions make of uniform attention over the same contexts."""
    measures = _measures(layout, {})
    found = {name: over_uniform(measures[name], length, slots) for name in measures}
    found |= {name: mass_on(uniform_rows(length, slots), length, mark) for name, mark in marks.items()}
    return found


def _shared_positions(
    rows: Float[np.ndarray, "*row layer head slot"], length: Int[np.ndarray, "*row"]
) -> Float64[np.ndarray, "*row 1 1"]:
    """Return the share of positions that the mean row over layers and heads needs: dropping inputs serves all heads."""
    mean = weights(rows, length).mean(axis=(-3, -2), keepdims=True)
    return np.asarray(positions_for_mass(mean, length, (LEVEL,))[..., 0] / length[..., None, None])


def _marks(labels: Labels, step: Int64[np.ndarray, " row"], slots: int, layout: ContextLayout) -> dict[str, np.ndarray]:
    """Return the places that may be anchors, as far as the rollout says where they are."""
    transition = slot_transitions(labels.start[step], labels.length[step], slots, layout)
    found: dict[str, np.ndarray] = {}
    if labels.episode is not None:
        found["episode_start"] = marks_of(is_episode_start(labels.episode).astype(np.int64), transition) == 1
    if labels.reward is not None:
        found["rewarded"] = marks_of(reward_sign(labels.reward), transition) == 1
    if labels.observation is not None:
        found["same_state"] = same_state(state_ids(labels.observation), transition, step)
    return found


def _heads_last(values: Float64[np.ndarray, " env *cell"]) -> Float64[np.ndarray, " env"]:
    """Return the mean over layers and heads, the last thing that is done."""
    return np.asarray(values.reshape(len(values), -1).mean(axis=1))
