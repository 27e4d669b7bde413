"""Attention that chooses nothing, as a baseline: the number that stands beside every measure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float64, Int

from attnscope.measures.layout import checked_length, in_context


def uniform_rows(length: Int[np.ndarray, "*row"], slots: int) -> Float64[np.ndarray, "*row 1 1 {slots}"]:
    """Return rows that weigh every token of their context alike, the query's own among them; NaN past it.

    Parameters
    ----------
    length
        Tokens of the context, the query among them, int [*row].
    slots
        Slots of the result: the largest length at least.
    """
    inside = in_context(length, slots)
    even = np.where(inside, 1 / checked_length(length, slots)[..., None], np.nan)
    return even[..., None, None, :]


def over_uniform(
    measure: Callable[[Float64[np.ndarray, "n 1 1 slot"], Int[np.ndarray, " n"]], Float[np.ndarray, "n 1 1 *cell"]],
    length: Int[np.ndarray, "*row"],
    slots: int,
) -> Float64[np.ndarray, "*row 1 1 *cell"]:
    """Return what `measure` makes of uniform attention over contexts of these lengths.

    The same function sees the same slots, so the baseline can never count others than the measure does. Each length
    is measured once.

    Parameters
    ----------
    measure
        Takes rows and returns a value each, float [n, 1, 1, slot]; it is given uniform rows.
    length
        Tokens of the context, the query among them, int [*row].
    slots
        Slots of the result: the largest length at least.
    """
    different, place = np.unique(checked_length(length, slots), return_inverse=True)
    measured = np.asarray(measure(uniform_rows(different, slots), different), dtype=np.float64)
    return measured[place.reshape(np.shape(length))]


def lift(value: Float[np.ndarray, ...], baseline: Float[np.ndarray, ...]) -> Float64[np.ndarray, ...]:
    """Return value ÷ baseline; NaN where the baseline is 0, because then nothing could have been attended to.

    Parameters
    ----------
    value
        A measure of attention.
    baseline
        The same measure of the baseline, of the same shape.
    """
    top, bottom = np.broadcast_arrays(np.asarray(value, np.float64), np.asarray(baseline, np.float64))
    return np.asarray(np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0))
