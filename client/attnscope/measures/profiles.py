"""Attention by age: how it falls into the past, and how it follows one transition through the sliding window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from attnscope.measures.layout import (
    QUERY_LAST,
    ContextLayout,
    by_age,
    checked_length,
    slot_transitions,
    weights,
)

MINIMUM_AGES = 3
"""Ages that a decay is fitted to, at least."""


def relative_profile(
    rows: Float[np.ndarray, "*row layer head slot"],
    length: Int[np.ndarray, "*row"],
    layout: ContextLayout = QUERY_LAST,
    mark: Bool[np.ndarray, "*row slot"] | None = None,
) -> Float64[np.ndarray, "*row layer head age"]:
    """Return the attention at each age in tokens (0 the query's own), NaN where the context does not reach.

    Averaged by `RolloutMean`, each age has its own count: long ages rest on fewer rows, and their count says so.
    Uniform attention has 1 ÷ length at every age (give it `uniform_rows`).

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    mark
        Only tokens in these slots count: the profile of rewarded transitions as they age, say.
    """
    share = weights(rows, length)
    aged = by_age(share, length, layout)
    inside = (np.arange(aged.shape[-1]) < checked_length(length, aged.shape[-1])[..., None])[..., None, None, :]
    if mark is not None:
        flags = by_age(mark.astype(np.float64)[..., None, None, :], length, layout)
        inside = inside & (flags > 0)
    return np.where(inside, aged, np.nan)


def transition_timeline(
    rows: Float[np.ndarray, "step env layer head slot"],
    start: Int[np.ndarray, "step env"],
    length: Int[np.ndarray, "step env"],
    first: int,
    last: int,
    layout: ContextLayout = QUERY_LAST,
) -> Float64[np.ndarray, "step env layer head transition"]:
    """Return the attention to the same transitions first … last−1 at every step, NaN where not in the context.

    Identity is the transition index, which survives the sliding window; a slot number does not. Tokens of one
    transition are summed.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [step, env, layer, head, slot]; NaN
        past the context.
    start
        Transition index of the first slot, int [step, env].
    length
        Tokens of the context, the query among them, int [step, env].
    first
        First transition of the result.
    last
        First transition behind the result.
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    """
    share = weights(rows, length)
    index = slot_transitions(start, length, share.shape[-1], layout)
    steps, envs = index.shape[:2]
    moved = np.zeros((steps, envs, last - first, *share.shape[2:4]))
    seen = np.zeros((steps, envs, last - first), dtype=bool)
    step, env, slot = np.nonzero((index >= first) & (index < last))
    place = index[step, env, slot] - first
    seen[step, env, place] = True
    np.add.at(moved, (step, env, place), share[step, env, :, :, slot])
    return np.where(seen[:, :, None, None, :], np.moveaxis(moved, 2, -1), np.nan)


@dataclass(frozen=True, eq=False)
class Decay:
    """Two fits of attention against age d ≥ 1, both of ln A: −rate · d, and −exponent · ln d."""

    rate: Float64[np.ndarray, "*cell"]
    """Per token; 0 for uniform attention."""
    rate_fit: Float64[np.ndarray, "*cell"]
    """Share of the variance of ln A that the exponential explains, 0 to 1."""
    exponent: Float64[np.ndarray, "*cell"]
    exponent_fit: Float64[np.ndarray, "*cell"]
    """The same share for the power law."""


def fit_decay(profile: Float[np.ndarray, "*cell age"], count: Float[np.ndarray, "*cell age"] | None = None) -> Decay:
    """Return how a mean profile falls with age, least squares weighted by the rows behind each age.

    Ages without any attention (below float16's smallest weight) have no logarithm and are left out; NaN where fewer
    than three ages remain. A profile without variance is explained by anything: its fit is 1 and its slope 0.

    Parameters
    ----------
    profile
        Mean attention by age, index 0 the query's own, which the fit leaves out.
    count
        Rows behind each age, which weigh it, float [*cell, age]; None weighs all alike.
    """
    mass = np.asarray(profile, np.float64)[..., 1:]
    usable = np.isfinite(mass) & (mass > 0)
    weight = np.where(usable, 1.0 if count is None else np.asarray(count, np.float64)[..., 1:], 0.0)
    weight = np.where((usable.sum(axis=-1) >= MINIMUM_AGES)[..., None], weight, np.nan)
    log_mass = np.log(np.where(usable, mass, 1.0))
    age = np.arange(1, mass.shape[-1] + 1, dtype=np.float64)
    rate, rate_fit = _slope(age, log_mass, weight)
    exponent, exponent_fit = _slope(np.log(age), log_mass, weight)
    return Decay(np.asarray(-rate), rate_fit, np.asarray(-exponent), exponent_fit)


def _slope(
    x: Float64[np.ndarray, " age"], y: Float64[np.ndarray, "*cell age"], weight: Float64[np.ndarray, "*cell age"]
) -> tuple[Float64[np.ndarray, "*cell"], Float64[np.ndarray, "*cell"]]:
    """Return the weighted least-squares slope of y over x, and the share of y's variance that it explains."""
    total = weight.sum(axis=-1, keepdims=True)
    off_x = x - (weight * x).sum(axis=-1, keepdims=True) / total
    off_y = y - (weight * y).sum(axis=-1, keepdims=True) / total
    spread_x = (weight * off_x**2).sum(axis=-1)
    spread_y = (weight * off_y**2).sum(axis=-1)
    together = (weight * off_x * off_y).sum(axis=-1)
    slope = together / spread_x
    flat = spread_y <= 1e-18 * total[..., 0]
    fit = np.divide(together**2, spread_x * spread_y, out=np.ones_like(together), where=~flat)
    known = np.isfinite(total[..., 0])
    return np.where(flat & known, 0.0, slope), np.where(known, fit, np.nan)
