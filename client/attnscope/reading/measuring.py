"""Measures of decision rows, burst by burst in bounded memory.

Of many steps the mean row over layers and heads is measured, of fewer the row of every layer and head.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from attnscope.measures import (
    cost_curve,
    distance_from_uniform,
    head_divergence,
    mass_on,
    over_uniform,
    recency_mass,
    relative_profile,
    self_mass,
    uniform_rows,
    weights,
)
from attnscope.measures.intervals import Resampling, default_scope
from attnscope.measures.phases import EARLY, LATE
from attnscope.reading.blocks import (
    BUDGETS,
    BY_HEAD,
    LINEAR,
    RECENT,
    Measure,
    Measured,
    compare,
    newest_mass,
    running_mass,
)
from attnscope.reading.marks import marks
from attnscope.reading.reading import Burst, Reading
from attnscope.reading.rollout import Phases
from attnscope.reading.tally import Tally
from attnscope_storage.kinds.capture.schema import RECENCY_WINDOWS

BLOCK_BYTES = 4 * 2**20
"""Bytes, as stored, that are measured at a time; a measure needs about ten times as much."""


def add(tally: Tally, burst: Burst) -> None:
    """Take in a burst."""
    reading, fresh = tally.reading, burst.fresh
    step = burst.step[fresh:]
    length = reading.own_length[step][:, reading.row_envs]
    _add_means(tally, burst, burst.mean[fresh:, :, None, None], step, length)
    step, rows = burst.step[burst.first_whole :], burst.rows
    few = max(1, BLOCK_BYTES // max(1, rows[:1].size * 2))
    for at in range(0, len(rows), few):
        part = step[at : at + few]
        _add_heads(
            tally,
            burst.number,
            rows[at : at + few],
            (reading.own_length[part][:, reading.row_envs], _counts(reading, part)),
        )


def _add_means(
    tally: Tally,
    burst: Burst,
    rows: Float[np.ndarray, "row env 1 1 slot"],
    step: Int64[np.ndarray, " row"],
    length: Int64[np.ndarray, "row env"],
) -> None:
    """Measure the mean rows over layers and heads."""
    reading, layout, number = tally.reading, tally.reading.layout, burst.number
    counts = _counts(reading, step)
    recent = recency_mass(rows, length, (RECENT,), layout)[..., 0, 0, 0]
    own = self_mass(rows, length, layout)[..., 0, 0]
    tally.steps.append(step)
    tally.masses.append(np.stack([recent, 1 - recent - own, own], axis=-1))
    flat = relative_profile(rows, length, layout)[:, :, 0, 0]
    tally.profile.add(flat, counts, number)
    tally.pooled.add(running_mass(weights(rows, length)[:, :, 0, 0]), counts, number)
    compare(tally.shared_positions, rows, length, counts, number)
    phases = reading.phases.at(step, reading.row_envs)
    _add_phases(tally, flat, counts, phases, number)
    for name, mark in marks(reading, step, length, rows.shape[-1]).items():
        held = tally.marked.setdefault(name, Measured.of(tally.shares_read[0]))
        held.value.add(mass_on(rows, length, mark)[..., 0, 0], counts, number)
        even = mass_on(uniform_rows(length, rows.shape[-1]), length, mark)[..., 0, 0]
        held.uniform.add(even, counts, number)
    _add_unstored(tally, LINEAR, rows, length, counts, number, tally.shares_read[0])


def _counts(reading: Reading, step: Int64[np.ndarray, " row"]) -> Bool[np.ndarray, "row env"]:
    """Return the decisions whose context, latents among its tokens, is long enough to count."""
    return np.asarray(reading.length[step][:, reading.row_envs] >= reading.least)


def _add_phases(
    tally: Tally,
    flat: Float64[np.ndarray, "row env age"],
    counts: Bool[np.ndarray, "row env"],
    phases: Phases,
    number: int,
) -> None:
    for phase, early, late in (
        (phases.by_episode, tally.early, tally.late),
        (phases.by_return, tally.low, tally.high),
    ):
        early.add(flat, counts & (phase == EARLY), number)
        late.add(flat, counts & (phase == LATE), number)


def _add_heads(
    tally: Tally,
    number: int,
    rows: Float[np.ndarray, "row env layer head slot"],
    contexts: tuple[Int64[np.ndarray, "row env"], Bool[np.ndarray, "row env"]],
) -> None:
    """Measure the rows of every layer and head."""
    reading, layout = tally.reading, tally.reading.layout
    length, counts = contexts
    far = distance_from_uniform(rows, length)
    tally.distance.add(far, counts)
    tally.flatness.value.add(far.mean(axis=(2, 3)), counts, number)
    tally.flatness.uniform.add(np.zeros(length.shape), counts, number)
    compare(tally.positions, rows, length, counts, number)
    tally.divergence.add(head_divergence(rows, length), counts)
    curve = cost_curve(rows, length, BUDGETS, layout)
    if reading.plan is not None and reading.plan.heads is None:
        tally.heads.add(relative_profile(rows, length, layout), counts)
        tally.own.add(curve.own, counts)
    tally.shared.add(curve.shared, counts)
    tally.newest.add(newest_mass(weights(rows, length), length, layout), counts)
    _add_unstored(tally, BY_HEAD, rows, length, counts, number, tally.shares_read[1])


def _add_unstored(
    tally: Tally,
    measures: Mapping[str, Measure],
    rows: Float[np.ndarray, "row env layer head slot"],
    length: Int64[np.ndarray, "row env"],
    counts: Bool[np.ndarray, "row env"],
    number: int,
    share_read: float,
) -> None:
    """Measure the statistics that the capture does not store, of an import by other programs for instance."""
    for name in measures.keys() - tally.reading.statistics.keys():
        value = measures[name](rows, length, tally.reading.layout).mean(axis=(2, 3))
        slots, layout = rows.shape[-1], tally.reading.layout
        even = over_uniform(partial(measures[name], layout=layout), length, slots)[:, :, 0, 0]
        names = [f"{name}.{window}" for window in RECENCY_WINDOWS] if name == "recency" else [name]
        for index, one in enumerate(names):
            held = tally.unstored.setdefault(one, Measured.of(share_read))
            held.value.add(value[..., index] if name == "recency" else value, counts, number)
            held.uniform.add(even[..., index] if name == "recency" else even, counts, number)


def tally(reading: Reading) -> Tally | None:
    """Return the measures of a reading's rows; None where decision rows were not captured."""
    if reading.plan is None:
        return None
    task = reading.task[reading.row_envs]
    found = Tally(reading, Resampling(task, default_scope(task)))
    for burst in reading.bursts():
        add(found, burst)
    return found
