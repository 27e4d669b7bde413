"""Reductions of attention that the service computes for a remote capture, and the laptop for a downloaded one.

Pure functions over arrays. Steps count only where the context is long enough, and NaN is absent, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Int64

POOLED: Final = 256
"""Queries and keys of a pooled map, at most."""

BUDGETS: Final = 200
"""Budgets of a retained-mass curve, at most."""

PoolBy = Literal["mean", "max"]
"""A cell of a pooled map holds the mean or the largest of its weights."""

QuerySlot = Literal["first", "last"]


@dataclass(frozen=True, eq=False)
class Total:
    """A sum over steps and the number of steps behind it; totals of blocks of steps add up."""

    sum: Float64[np.ndarray, " env *cell"]
    count: Int64[np.ndarray, " env *cell"]

    def __add__(self, other: Total) -> Total:
        return Total(self.sum + other.sum, self.count + other.count)

    @property
    def mean(self) -> Float64[np.ndarray, " env *cell"]:
        """The mean over the steps that count; NaN where none does."""
        return np.asarray(np.divide(self.sum, self.count, out=np.full(self.sum.shape, np.nan), where=self.count > 0))


def total_over_steps(
    values: Float[np.ndarray, "step env *cell"], counts: Bool[np.ndarray, "step env"] | None = None
) -> Total:
    """Return the sum over the steps that count.

    Parameters
    ----------
    counts
        The decisions that count; all where None. NaN never counts.
    """
    held = np.isfinite(values)
    if counts is not None:
        held &= counts.reshape(*counts.shape, *[1] * (values.ndim - 2))
    total = np.where(held, values, 0).sum(axis=0, dtype=np.float64)
    return Total(total, held.sum(axis=0, dtype=np.int64))


def per_largest_entropy(
    nats: Float[np.ndarray, "step env *cell"], length: Int[np.ndarray, "step env"]
) -> Float64[np.ndarray, "step env *cell"]:
    """Return entropies in nats divided by ln(length), the entropy of uniform attention; 1 at a length of 1."""
    whole = np.asarray(length).reshape(*np.shape(length), *[1] * (np.ndim(nats) - np.ndim(length)))
    most = np.log(np.maximum(whole, 2))
    scaled = np.asarray(nats, np.float64) / most
    return np.where(whole == 1, np.where(np.isnan(nats), np.nan, 1.0), scaled)


def age_profile(
    rows: Float[np.ndarray, "step env layer head slot"],
    length: Int[np.ndarray, "step env"],
    query_slot: QuerySlot,
    least: int = 1,
) -> Total:
    """Return the attention at each age in tokens, 0 the query's own: sum and count [env, layer, head, age].

    An age that a context does not reach does not count there.

    Parameters
    ----------
    least
        Tokens of the shortest context that counts.
    """
    return total_over_steps(_by_age(_shares(rows, length), length, query_slot), np.asarray(length) >= least)


def retained_mass(
    rows: Float[np.ndarray, "step env layer head slot"],
    length: Int[np.ndarray, "step env"],
    query_slot: QuerySlot,
    budgets: int,
    least: int = 1,
    tokens_per_transition: int = 1,
) -> Total:
    """Return the mass that a head's own best transitions hold: sum and count [env, layer, head, budget].

    Budget k of n is the share k ÷ n of the transitions before the query, rounded down, at least one. Tokens of one
    transition are kept together. The query's own token is always kept and counted in the mass, not in the budget.

    Parameters
    ----------
    budgets
        Number of budgets, evenly spaced from 1 ÷ n to 1.
    least
        Tokens of the shortest context that counts.
    """
    aged = _by_age(_shares(rows, length), length, query_slot)
    own, history = aged[..., :1], np.nan_to_num(aged[..., 1:])
    per = tokens_per_transition
    history = np.pad(history, [(0, 0)] * 4 + [(0, -history.shape[-1] % per)])
    history = history.reshape(*history.shape[:-1], -1, per).sum(axis=-1)
    running = np.concatenate([np.zeros_like(history[..., :1]), -np.sort(-history, axis=-1)], axis=-1).cumsum(axis=-1)
    before = (np.asarray(length, np.int64)[..., None] - 2 + per) // per
    share = np.floor(before * np.arange(1, budgets + 1) / budgets + 1e-9).astype(np.int64)
    kept = np.minimum(np.maximum(share, 1), before)[..., None, None, :]
    held = np.take_along_axis(running, np.broadcast_to(kept, (*running.shape[:-1], budgets)), axis=-1)
    return total_over_steps(own + held, np.asarray(length) >= least)


def pooled(
    maps: Float[np.ndarray, "*map query slot"], size: int, by: PoolBy = "mean"
) -> Float32[np.ndarray, "*map pooled_query pooled_slot"]:
    """Return maps of at most `size` × `size` cells, each of which holds `factor` × `factor` weights.

    NaN is left out of a cell; a cell of NaN alone is NaN. A map that is small enough comes as it is.

    Parameters
    ----------
    size
        Queries and keys that are left, at most.
    """
    step = factor(max(maps.shape[-2:]), size)
    if step == 1:
        return np.asarray(maps, np.float32)
    short = [(-extent) % step for extent in maps.shape[-2:]]
    shape = tuple((extent + gap) // step for extent, gap in zip(maps.shape[-2:], short, strict=True))
    flat = maps.reshape(-1, *maps.shape[-2:])
    found = np.empty((len(flat), *shape), np.float32)
    for index, one in enumerate(flat):  # map by map, so that one map in float32 is all the memory that this takes
        wide = np.pad(one.astype(np.float32), [(0, gap) for gap in short], constant_values=np.nan)
        cells = wide.reshape(shape[0], step, shape[1], step)
        held = np.isfinite(cells)
        there = held.any(axis=(1, 3))
        if by == "max":
            most = np.where(held, cells, -np.inf).max(axis=(1, 3))
            found[index] = np.where(there, most, np.nan)
        else:
            total = np.where(held, cells, 0).sum(axis=(1, 3), dtype=np.float64)
            found[index] = np.divide(total, held.sum(axis=(1, 3)), out=np.full(shape, np.nan), where=there)
    return found.reshape(*maps.shape[:-2], *shape)


def factor(extent: int, size: int) -> int:
    """Return the number of queries, and of keys, that one cell of a pooled map holds."""
    return max(1, -(-extent // size))


def _shares(
    rows: Float[np.ndarray, "step env layer head slot"], length: Int[np.ndarray, "step env"]
) -> Float64[np.ndarray, "step env layer head slot"]:
    """Return rows that sum to 1 over their context, 0 past it; a row with NaN in its context is NaN."""
    inside = (np.arange(rows.shape[-1]) < np.asarray(length)[..., None])[..., None, None, :]
    held = np.where(inside, rows, 0).astype(np.float64)
    total = held.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(held, total, out=np.full_like(held, np.nan), where=total > 0))


def _by_age(
    share: Float64[np.ndarray, "step env layer head slot"], length: Int[np.ndarray, "step env"], query_slot: QuerySlot
) -> Float64[np.ndarray, "step env layer head age"]:
    """Return weights by age, NaN past the context."""
    whole, age = np.asarray(length, np.int64)[..., None], np.arange(share.shape[-1])
    slot = whole - 1 - age if query_slot == "last" else np.where(age == 0, 0, whole - age)
    inside = (age < whole)[..., None, None, :]
    index = np.where(inside, slot[..., None, None, :], 0)
    return np.where(inside, np.take_along_axis(share, np.broadcast_to(index, share.shape), axis=-1), np.nan)
