"""The few array operations that every rule shares, over NumPy or torch alike.

Scores are compared in float32 and equal scores by age, the newer first, so that both libraries and every machine keep
the same tokens: bfloat16 ties, and sums in another order, would otherwise decide. A rule runs before every decision and
its time counts against it, so nothing here sorts twice or compares every two entries.
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


def number_of(mask: Bool[Array, "*batch entry"]) -> Int[Array, "*batch"]:
    """Return how many entries are marked."""
    xp = namespace(mask)
    return xp.sum(xp.astype(mask, xp.int64), axis=-1)


def running(mask: Bool[Array, "*batch entry"]) -> Int[Array, "*batch entry"]:
    """Return how many entries are marked up to each, itself among them."""
    xp = namespace(mask)
    return xp.cumulative_sum(xp.astype(mask, xp.int64), axis=-1)


def newest(mask: Bool[Array, "*batch entry"], limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
    """Return the newest `limit` of the marked entries."""
    so_far = running(mask)
    return mask & (so_far > so_far[..., -1:] - limit[..., None])


def best(
    score: Shaped[Array, "*batch entry"], held: Bool[Array, "*batch entry"], limit: Int[Array, "*batch"]
) -> Bool[Array, "*batch entry"]:
    """Return the `limit` held entries with the highest scores; ties newer first.

    NaN comes before every number: nothing has judged the entry yet.
    """
    xp = namespace(score)
    narrow = narrowed(score, held)
    entries = narrow.shape[-1]
    if entries == 0:
        return held
    rising = xp.sort(narrow, axis=-1)
    place = xp.broadcast_to(xp.clip(entries - limit, 0, entries - 1)[..., None], (*narrow.shape[:-1], 1))
    threshold = xp.take_along_axis(rising, place, axis=-1)
    above = held & (narrow > threshold)
    level = held & (narrow == threshold)
    return above | newest(level, limit - number_of(above))


def narrowed(score: Shaped[Array, "*batch entry"], held: Bool[Array, "*batch entry"]) -> Float[Array, "*batch entry"]:
    """Return scores in float32 as they are compared: NaN is +∞, entries that are not held −∞."""
    xp = namespace(score)
    narrow = xp.astype(score, xp.float32)
    infinite = xp.full_like(narrow, float("inf"))
    return xp.where(held, xp.where(xp.isnan(narrow), infinite, narrow), -infinite)


def packed(held: Bool[Array, "*batch entry"]) -> Int[Array, "*batch entry"] | None:
    """Return the order in which held entries stand together at the front; None where all are held already."""
    xp = namespace(held)
    if bool(xp.all(held)):
        return None
    return xp.argsort(xp.astype(xp.logical_not(held), xp.int8), axis=-1, stable=True)


def in_order(
    array: Shaped[Array, "*batch entry"], order: Int[Array, "*batch entry"] | None
) -> Shaped[Array, "*batch entry"]:
    """Return the array in an order that `packed` gave."""
    return array if order is None else namespace(array).take_along_axis(array, order, axis=-1)


def put_back(
    array: Shaped[Array, "*batch entry"], order: Int[Array, "*batch entry"] | None
) -> Shaped[Array, "*batch entry"]:
    """Return the array as it was before `in_order`."""
    if order is None:
        return array
    xp = namespace(array)
    return xp.take_along_axis(array, xp.argsort(order, axis=-1, stable=True), axis=-1)


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
