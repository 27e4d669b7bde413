"""The attention of a compiled layer: sixteen queries of a context at a time, or one query along its slots.

Where queries lie along the lanes, a number of a key is read once for sixteen of them, and sums stay in registers.
Where one query asks, sixteen slots lie along the lanes. Both write the weights of a query as a decision row.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from attnscope_model.forward.compiled.instructions import lanewise
from attnscope_model.forward.compiled.lanes import (
    LANES,
    every,
    from_lane,
    largest_of,
    load,
    most,
    spread,
    store,
    total_of,
)
from attnscope_model.forward.compiled.parts import ONE, ZERO, Place, Value, power

f32 = np.float32

PART: Final = 8
"""Numbers of a head that are taken together; every head's size is a multiple of it."""

_LOWEST: Final = f32(-3e38)


@lanewise
def _scored(
    queries: Value, keys: Value, part: Value, scale: Value, first: Value, last: Value, begin: Value, scores: Value
) -> Value:
    """Add to the scores [slot, lane] of some slots those of eight numbers of the head, and return the largest sums.

    Parameters
    ----------
    queries, keys
        The head's places; `part` is the first of the eight.
    begin
        Slot of the first lane's query, where a query sees no later slot; else below 0.
    """
    array, step = queries.array, queries.step
    q = queries.at + part * step
    q0, q1 = load(array, q) * scale, load(array, q + step) * scale
    q2, q3 = load(array, q + 2 * step) * scale, load(array, q + 3 * step) * scale
    q4, q5 = load(array, q + 4 * step) * scale, load(array, q + 5 * step) * scale
    q6, q7 = load(array, q + 6 * step) * scale, load(array, q + 7 * step) * scale
    array, step = keys.array, keys.step
    k0 = keys.at + part * step
    k1, k2, k3, k4 = k0 + step, k0 + 2 * step, k0 + 3 * step, k0 + 4 * step
    k5, k6, k7 = k0 + 5 * step, k0 + 6 * step, k0 + 7 * step
    top = spread(_LOWEST)
    for j in range(first, last):
        s = every(array, k0 + j) * q0
        if part > 0:
            s = s + load(scores, j * LANES)
        s = s + every(array, k1 + j) * q1
        s = s + every(array, k2 + j) * q2
        s = s + every(array, k3 + j) * q3
        s = s + every(array, k4 + j) * q4
        s = s + every(array, k5 + j) * q5
        s = s + every(array, k6 + j) * q6
        s = s + every(array, k7 + j) * q7
        if begin >= 0:
            s = from_lane(s, j - begin, spread(_LOWEST))
        store(scores, j * LANES, s)
        top = most(top, s)
    return top


@lanewise
def _mixed(values: Value, part: Value, scores: Value, slots: Value, top: Value, share: Value, out: Value) -> Value:
    """Fill eight numbers of a head's attended values, and return one over the sums of the weights.

    With the first eight, scores become weights, times a constant; `share` is known for the others.
    """
    array, step = values.array, values.step
    v0 = values.at + part * step
    v1, v2, v3, v4 = v0 + step, v0 + 2 * step, v0 + 3 * step, v0 + 4 * step
    v5, v6, v7 = v0 + 5 * step, v0 + 6 * step, v0 + 7 * step
    total = spread(ZERO)
    o0, o1, o2, o3, o4, o5, o6, o7 = total, total, total, total, total, total, total, total
    for j in range(slots):
        w = load(scores, j * LANES)
        if part == 0:
            w = power(w - top)
            store(scores, j * LANES, w)
            total = total + w
        o0 = o0 + every(array, v0 + j) * w
        o1 = o1 + every(array, v1 + j) * w
        o2 = o2 + every(array, v2 + j) * w
        o3 = o3 + every(array, v3 + j) * w
        o4 = o4 + every(array, v4 + j) * w
        o5 = o5 + every(array, v5 + j) * w
        o6 = o6 + every(array, v6 + j) * w
        o7 = o7 + every(array, v7 + j) * w
    if part == 0:
        share = spread(ONE) / total
    array, step = out.array, out.step
    o = out.at + part * step
    store(array, o, o0 * share)
    store(array, o + step, o1 * share)
    store(array, o + 2 * step, o2 * share)
    store(array, o + 3 * step, o3 * share)
    store(array, o + 4 * step, o4 * share)
    store(array, o + 5 * step, o5 * share)
    store(array, o + 6 * step, o6 * share)
    store(array, o + 7 * step, o7 * share)
    return share


@lanewise
def attend_all(
    queries: Value,
    keys: Value,
    values: Value,
    size: Value,
    tokens: Value,
    causal: Value,
    scale: Value,
    scores: Value,
    row: Value,
) -> None:
    """Put the attended values of a head in the place of its queries, and the last query's weights into `row`."""
    for begin in range(0, tokens, LANES):
        seen = min(begin + LANES, tokens) if causal else tokens
        plain = begin if causal else tokens
        some = Place(queries.array, queries.at + begin, queries.step)
        top = spread(_LOWEST)
        for part in range(0, size, PART):
            unmasked = _scored(some, keys, part, scale, 0, plain, -1, scores)
            masked = _scored(some, keys, part, scale, plain, seen, begin, scores)
            top = most(unmasked, masked)
        share = spread(ZERO)
        for part in range(0, size, PART):
            share = _mixed(values, part, scores, seen, top, share, some)
        if begin + LANES >= tokens:
            own = tokens - 1 - begin
            store(scores, tokens * LANES, share)
            for j in range(tokens):
                row[j] = scores[j * LANES + own] * scores[tokens * LANES + own]


@lanewise
def attend_one(
    query: Value, keys: Value, values: Value, size: Value, slots: Value, scale: Value, scores: Value, out: Value
) -> Value:
    """Fill the attended values of one query of a head, and return one over the sum of the weights in `scores`.

    Numbers of keys and values may be read up to the next multiple of sixteen slots, and have to be finite there.
    """
    top = spread(_LOWEST)
    for j in range(0, slots, LANES):
        s = spread(ZERO)
        for d in range(size):
            s = s + every(query.array, query.at + d * query.step) * load(keys.array, keys.at + d * keys.step + j)
        s = from_lane(spread(_LOWEST), slots - j, s * scale)
        store(scores, j, s)
        top = most(top, s)
    top = spread(largest_of(top))
    total = spread(ZERO)
    for j in range(0, slots, LANES):
        w = power(load(scores, j) - top)
        store(scores, j, w)
        total = total + w
    share = ONE / total_of(total)
    for d in range(size):
        mixed = spread(ZERO)
        for j in range(0, slots, LANES):
            mixed = mixed + load(scores, j) * load(values.array, values.at + d * values.step + j)
        out.array[out.at + d * out.step] = total_of(mixed) * share
    return share


@lanewise
def attend_two(
    query: Value,
    keys: Value,
    values: Value,
    size: Value,
    slots: Value,
    scale: Value,
    scores: Value,
    apart: Value,
    out: Value,
) -> Value:
    """Do what `attend_one` does for two neighbours, of which the first sees one slot less; return the second's share.

    Each number of keys and values is read once for both. The first one's scores lie in front, the second one's from
    `apart` on. Either gets the bits that it would get alone.
    """
    top, other_top = spread(_LOWEST), spread(_LOWEST)
    for j in range(0, slots, LANES):
        s, t = spread(ZERO), spread(ZERO)
        for d in range(size):
            key, at = load(keys.array, keys.at + d * keys.step + j), query.at + d * query.step
            s = s + every(query.array, at) * key
            t = t + every(query.array, at + 1) * key
        s = from_lane(spread(_LOWEST), slots - 1 - j, s * scale)
        t = from_lane(spread(_LOWEST), slots - j, t * scale)
        store(scores, j, s)
        store(scores, apart + j, t)
        top, other_top = most(top, s), most(other_top, t)
    top, other_top = spread(largest_of(top)), spread(largest_of(other_top))
    total, other_total = spread(ZERO), spread(ZERO)
    for j in range(0, slots, LANES):
        w, v = power(load(scores, j) - top), power(load(scores, apart + j) - other_top)
        store(scores, j, w)
        store(scores, apart + j, v)
        total, other_total = total + w, other_total + v
    share, other_share = ONE / total_of(total), ONE / total_of(other_total)
    for d in range(0, size, 2):
        m, n, o, p = spread(ZERO), spread(ZERO), spread(ZERO), spread(ZERO)
        first = values.at + d * values.step
        for j in range(0, slots, LANES):
            w, v = load(scores, j), load(scores, apart + j)
            one, two = load(values.array, first + j), load(values.array, first + values.step + j)
            m, n = m + w * one, n + v * one
            o, p = o + w * two, p + v * two
        at = out.at + d * out.step
        out.array[at], out.array[at + 1] = total_of(m) * share, total_of(n) * other_share
        at = at + out.step
        out.array[at], out.array[at + 1] = total_of(o) * share, total_of(p) * other_share
    return other_share
