"""The few array operations that every rule shares, over NumPy or torch alike.

Scores are compared in float32 and equal scores by age, the newer first, so that both libraries and every machine keep
the same tokens: bfloat16 ties, and sums in another order, would otherwise decide.
"""

from __future__ import annotations

from typing import Any

import array_api_compat
from jaxtyping import Bool, Float, Int, Shaped

Array = Any
"""An array of any library that speaks the array API."""


def namespace(array: Array) -> Any:  # noqa: ANN401 - a module, whichever library the array is from
    """Return the array API of the library that the array belongs to."""
    return array_api_compat.array_namespace(array)


def count_up(like: Shaped[Array, "*batch entry"]) -> Int[Array, " entry"]:
    """Return 0, 1, 2 … along the entries, on the array's device."""
    return namespace(like).arange(like.shape[-1], device=array_api_compat.device(like))


def as_float(array: Shaped[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the array in float64."""
    xp = namespace(array)
    return xp.astype(array, xp.float64)


def ranks(score: Shaped[Array, "*batch entry"], held: Bool[Array, "*batch entry"]) -> Int[Array, "*batch entry"]:
    """Return the place of every entry by score, 0 the highest; ties newer first, entries not held last.

    NaN ranks before every number: nothing has judged the entry yet.
    """
    xp = namespace(score)
    narrow = xp.astype(score, xp.float32) + 0.0  # -0.0 becomes 0.0
    narrow = xp.where(xp.isnan(narrow), xp.full_like(narrow, float("inf")), narrow)
    last = xp.astype(xp.logical_not(held), xp.int8)
    by_score = xp.argsort(xp.flip(-narrow, axis=-1), axis=-1, stable=True)
    there = xp.argsort(_take(xp.flip(last, axis=-1), by_score), axis=-1, stable=True)
    order = _take(by_score, there)
    return xp.flip(xp.argsort(order, axis=-1, stable=True), axis=-1)


def best(
    score: Shaped[Array, "*batch entry"], held: Bool[Array, "*batch entry"], limit: Int[Array, "*batch"]
) -> Bool[Array, "*batch entry"]:
    """Return the `limit` held entries with the highest scores."""
    return held & (ranks(score, held) < limit[..., None])


def _take(array: Shaped[Array, "*batch entry"], index: Int[Array, "*batch entry"]) -> Shaped[Array, "*batch entry"]:
    return namespace(array).take_along_axis(array, index, axis=-1)


def dice(number: Int[Array, "*shape"], seed: int) -> Float[Array, "*shape"]:
    """Return a uniform number in (0, 1) for every integer, always the same one for the same seed.

    A 32-bit integer hash, so that NumPy and torch draw the same and an entry keeps its number for life.
    """
    xp = namespace(number)
    mask = 0xFFFFFFFF
    mixed = (xp.astype(number, xp.int64) * 0x9E3779B1 + (seed & mask) * 0x85EBCA6B) & mask
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        mixed = ((mixed ^ (mixed >> shift)) * factor) & mask
    return (as_float((mixed ^ (mixed >> 16)) >> 8) + 0.5) / 2**24
