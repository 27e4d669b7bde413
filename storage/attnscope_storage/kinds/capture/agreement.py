"""The check that stored statistics and stored rows agree, as far as float16 can tell.

The statistics come from full-precision rows, the rows are stored in float16, so they differ by rounding. Rounding a
weight `a` moves it by at most ``a·2⁻¹¹``, or by 2⁻²⁵ where it is subnormal; each tolerance below is what that does to
its statistic. Arrays in, booleans out; no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float16, Float64, Integer

Rows = Float64[np.ndarray, "step env layer head slot"]
Lengths = Integer[np.ndarray, "step env"]
Statistic = Float64[np.ndarray, "step env layer head"]

RELATIVE: Final = 2.0**-11
"""Relative rounding of a float16, at most."""

SUBNORMAL: Final = 2.0**-25
"""Absolute rounding of a subnormal float16, at most."""

FLOAT32: Final = 1e-5
"""Relative slack for statistics summed in float32."""


def disagreements(
    rows: Float16[np.ndarray, "step env layer head slot"],
    lengths: Lengths,
    statistics: Mapping[str, Float[np.ndarray, "step env layer head *window"]],
    windows: Integer[np.ndarray, " window"],
    query_slot: str,
    summaries: Integer[np.ndarray, "step env"] | None = None,
) -> dict[str, Bool[np.ndarray, "step env"]]:
    """Return, per statistic, where it is not that of the rows.

    Parameters
    ----------
    rows
        Stored decision rows, NaN past the context length.
    lengths
        Context lengths in tokens, of the same steps and environments.
    statistics
        ``stats/*`` by name without the prefix, of the same steps, environments, layers and heads.
    windows
        Windows of ``recency``, in tokens before the query; the query's own slot is left out.
    query_slot
        ``last`` or ``first``: where in the context the query is.
    summaries
        Latents at the front of each context, which ``recency`` leaves out; None where nothing is packed.
    """
    weights = np.nan_to_num(rows.astype(np.float64))
    slots = rows.shape[-1]
    wrong = {
        name: _differs(statistics[name], *measure(weights, lengths, query_slot), slots)
        for name, measure in _MEASURES.items()
    }
    latents = np.zeros_like(lengths) if summaries is None else summaries
    if "summary" in statistics:
        wrong["summary"] = _differs(statistics["summary"], *_summary(weights, latents), slots)
    recency = statistics["recency"]
    wrong["recency"] = np.any(
        [
            _differs(recency[..., index], *_recency(weights, (lengths, latents), query_slot, int(window)), slots)
            for index, window in enumerate(windows)
        ],
        axis=0,
    )
    return wrong


def _differs(
    stored: Float[np.ndarray, "step env layer head"], expected: Statistic, tolerance: Statistic, slots: int
) -> Bool[np.ndarray, "step env"]:
    slack = tolerance + FLOAT32 * np.abs(expected) + slots * SUBNORMAL
    near = np.abs(stored - expected) <= slack  # false where either is NaN
    wrong: Bool[np.ndarray, "step env"] = ~np.all(near, axis=(2, 3))
    return wrong


def _entropy(weights: Rows, _lengths: Lengths, _query_slot: str) -> tuple[Statistic, Statistic]:
    entropy = -np.sum(weights * np.log(np.where(weights > 0, weights, 1.0)), axis=-1)
    # |d(−a ln a)| = (|ln a| + 1)·|da|; below float16's reach |ln a| + 1 is under 20.
    return entropy, RELATIVE * (entropy + 1) + 20 * SUBNORMAL * weights.shape[-1]


def _effective(weights: Rows, _lengths: Lengths, _query_slot: str) -> tuple[Statistic, Statistic]:
    effective = 1 / np.maximum(np.sum(weights**2, axis=-1), np.finfo(np.float64).tiny)
    return effective, effective * (2.01 * RELATIVE + 2.01 * SUBNORMAL * effective)


def _max(weights: Rows, _lengths: Lengths, _query_slot: str) -> tuple[Statistic, Statistic]:
    largest = weights.max(axis=-1)
    return largest, RELATIVE * largest


def _sink(weights: Rows, _lengths: Lengths, _query_slot: str) -> tuple[Statistic, Statistic]:
    return weights[..., 0], RELATIVE * weights[..., 0]


def _self(weights: Rows, lengths: Lengths, query_slot: str) -> tuple[Statistic, Statistic]:
    own = lengths - 1 if query_slot == "last" else np.zeros_like(lengths)
    picked = np.take_along_axis(weights, own[:, :, None, None, None].astype(np.int64), axis=-1)[..., 0]
    return picked, RELATIVE * picked


def _summary(weights: Rows, latents: Lengths) -> tuple[Statistic, Statistic]:
    front = np.arange(weights.shape[-1]) < latents[:, :, None, None, None]
    mass = np.sum(weights * front, axis=-1)
    return mass, RELATIVE * mass


def _recency(
    weights: Rows, context: tuple[Lengths, Lengths], query_slot: str, window: int
) -> tuple[Statistic, Statistic]:
    lengths, latents = context
    end = (lengths - 1 if query_slot == "last" else lengths)[:, :, None, None, None]
    begin = np.maximum(end - window, latents[:, :, None, None, None] if query_slot == "last" else 1)
    slot = np.arange(weights.shape[-1])
    mass = np.sum(weights * ((slot >= begin) & (slot < end)), axis=-1)
    return mass, RELATIVE * mass


_MEASURES: Final[dict[str, Callable[[Rows, Lengths, str], tuple[Statistic, Statistic]]]] = {
    "entropy": _entropy,
    "max": _max,
    "effective": _effective,
    "sink": _sink,
    "self": _self,
}
"""Each returns the statistic of float16 rows and how far rounding may have moved it."""
