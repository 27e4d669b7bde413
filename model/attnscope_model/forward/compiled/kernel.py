"""Attention for small heads on a CPU, compiled by numba; `attnscope_model.forward.fused` calls it where numba is there.

Also the statistics of decision rows, in one pass over each; `attnscope_model.forward.statistics` has them in torch.

Heads of 8 or 16 numbers are too small for the blocked matrix products behind torch's attention; here scores, weights
and their mixture stay in the first cache, four queries at a time, along the slots. Each context and head is computed
alone, so the numbers do not depend on how the work is divided. Both are compiled when this module is imported, for
the one signature that they have, and kept on disk. Knows nothing of tensors.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from attnscope_model.forward.compiled.instructions import compiled, exponent, larger, mantissa, power_of_two

f32 = np.float32

BLOCK: Final = 4
"""Queries computed together, and numbers of a head taken together."""

_LOG2E: Final = f32(1.4426950408889634)
_LOWEST: Final = f32(-3e38)
_SMALLEST_POWER: Final = f32(-126.0)
_HALF, _ZERO, _ONE = f32(0.5), f32(0.0), f32(1.0)
# 2^r for |r| <= 1/2: Taylor's terms ln(2)^k / k!, the first left out below 1.2e-7 relative.
_T1, _T2, _T3 = f32(0.6931471805599453), f32(0.2402265069591007), f32(0.05550410866482158)
_T4, _T5, _T6 = f32(0.009618129107628477), f32(0.0013333558146428443), f32(0.00015403530393381608)
# ln((1 + s) / (1 - s)) / s for s² < 0.0295: the first term left out is below 4e-9 relative.
_TWO = f32(2.0)
_L1, _L2, _L3, _L4 = f32(2 / 3), f32(2 / 5), f32(2 / 7), f32(2 / 9)


_NAN_KEPT: Final = {"reassoc", "contract", "arcp", "nsz"}
"""Fast maths under which what is not a number stays so."""


@compiled
def _softmax(scores: Any, slots: Any) -> Any:  # noqa: ANN401 - numba's own
    """Turn scores, in powers of two, into weights times a constant; return its reciprocal."""
    largest = _LOWEST
    for j in range(slots):
        largest = larger(largest, scores[j])
    for j in range(slots):
        x = larger(scores[j] - largest, _SMALLEST_POWER)
        whole = np.int32(x - _HALF)  # rounds to the nearest, as x is never above 0
        r = x - f32(whole)
        power = _ONE + r * (_T1 + r * (_T2 + r * (_T3 + r * (_T4 + r * (_T5 + r * _T6)))))
        scores[j] = power * power_of_two(whole)
    total = _ZERO
    for j in range(slots):
        total += scores[j]
    return _ONE / total


@compiled
def _score(queries: Any, keys: Any, scores: Any, slots: Any) -> None:  # noqa: ANN401 - numba's own
    """Fill the scores of two queries: `queries` [2, size], `keys` [size, slot], `scores` [2, slot]."""
    one, other = scores[0], scores[1]
    for d in range(0, keys.shape[0], BLOCK):
        a0, a1, a2, a3 = queries[0, d], queries[0, d + 1], queries[0, d + 2], queries[0, d + 3]
        b0, b1, b2, b3 = queries[1, d], queries[1, d + 1], queries[1, d + 2], queries[1, d + 3]
        k0, k1, k2, k3 = keys[d], keys[d + 1], keys[d + 2], keys[d + 3]
        if d == 0:
            for j in range(slots):
                one[j] = a0 * k0[j] + a1 * k1[j] + a2 * k2[j] + a3 * k3[j]
                other[j] = b0 * k0[j] + b1 * k1[j] + b2 * k2[j] + b3 * k3[j]
        else:
            for j in range(slots):
                one[j] += a0 * k0[j] + a1 * k1[j] + a2 * k2[j] + a3 * k3[j]
                other[j] += b0 * k0[j] + b1 * k1[j] + b2 * k2[j] + b3 * k3[j]


@compiled
def _mix(weights: Any, values: Any, mixed: Any, slots: Any) -> None:  # noqa: ANN401 - numba's own
    """Fill `mixed` [4, size] with the sums of `values` [size, slot] weighted by `weights` [4, slot]."""
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    for d in range(values.shape[0]):
        column = values[d]
        m0, m1, m2, m3 = _ZERO, _ZERO, _ZERO, _ZERO
        for j in range(slots):
            m0 += w0[j] * column[j]
            m1 += w1[j] * column[j]
            m2 += w2[j] * column[j]
            m3 += w3[j] * column[j]
        mixed[0, d], mixed[1, d], mixed[2, d], mixed[3, d] = m0, m1, m2, m3


def _attend(queries: Any, keys: Any, values: Any, out: Any, rows: Any, causal: Any, first: Any, last: Any) -> None:  # noqa: ANN401
    """Fill the attended values of the heads `first` to `last`, counted through all contexts.

    Parameters
    ----------
    queries, keys, values
        float32 [env, head, token, size], any strides; a size of a multiple of `BLOCK`.
    out
        float32 [env, token, head, size].
    rows
        float32 [env, head, token]: the weights of the last query.
    causal
        Whether a query sees only its own and earlier slots.
    """
    heads, tokens, size = queries.shape[1:]
    scale = _LOG2E / f32(math.sqrt(size))
    turned_keys, turned_values = np.empty((size, tokens), f32), np.empty((size, tokens), f32)
    weights = np.zeros((BLOCK, tokens), f32)
    block, mixed = np.empty((BLOCK, size), f32), np.empty((BLOCK, size), f32)
    shares = np.empty(BLOCK, f32)
    for index in range(first, last):
        env, head = index // heads, index % heads
        for t in range(tokens):
            for d in range(size):
                turned_keys[d, t] = keys[env, head, t, d] * scale
                turned_values[d, t] = values[env, head, t, d]
        for start in range(0, tokens, BLOCK):
            present = min(BLOCK, tokens - start)
            for i in range(BLOCK):
                for d in range(size):
                    block[i, d] = queries[env, head, min(start + i, tokens - 1), d]
            seen = start + present if causal else tokens
            _score(block[:2], turned_keys, weights[:2], seen)
            _score(block[2:], turned_keys, weights[2:], seen)
            for i in range(BLOCK):
                own = min(start + i + 1, tokens) if causal else tokens
                shares[i] = _softmax(weights[i], own)
                weights[i, own:seen] = _ZERO
                if start + i == tokens - 1:
                    for j in range(tokens):
                        rows[env, head, j] = weights[i, j] * shares[i]
            _mix(weights, turned_values, mixed, seen)
            for i in range(present):
                for d in range(size):
                    out[env, start + i, head, d] = mixed[i, d] * shares[i]


attend = compiled(
    _attend,
    "void(f4[:,:,:,:], f4[:,:,:,:], f4[:,:,:,:], f4[:,:,:,::1], f4[:,:,:], boolean, intp, intp)",
)


def _summarise(rows: Any, windows: Any, query_last: Any, single: Any, recency: Any, totals: Any) -> None:  # noqa: ANN401
    """Fill the statistics of rows, each read once.

    Parameters
    ----------
    rows
        float32 [row, slot].
    windows
        The windows of recency, in tokens, shortest first.
    query_last
        Whether the query's own slot is the last; else it is the first.
    single
        float32 [5, row]: entropy, max, effective, sink, self.
    recency
        float32 [row, window].
    totals
        float32 [row]: the sums, which are to be 1.
    """
    count, slots = rows.shape
    newest = slots - 1 if query_last else slots
    oldest = 0 if query_last else 1
    for i in range(count):
        row = rows[i]
        total, squares, entropy, largest = _ZERO, _ZERO, _ZERO, _ZERO
        for j in range(slots):
            weight = row[j]
            f = mantissa(weight) - _ONE
            s = f / (f + _TWO)
            z = s * s
            logarithm = exponent(weight) * _T1 + s * (_TWO + z * (_L1 + z * (_L2 + z * (_L3 + z * _L4))))
            entropy -= weight * logarithm  # where the weight is 0 this adds 0: the logarithm is finite
            total += weight
            squares += weight * weight
            largest = larger(largest, weight)
        single[0, i], single[1, i], single[2, i] = entropy, largest, _ONE / squares
        single[3, i], single[4, i] = row[0], row[slots - 1] if query_last else row[0]
        totals[i] = total
        recent, j = _ZERO, newest
        for k in range(windows.shape[0]):
            while j > max(oldest, newest - windows[k]):
                j -= 1
                recent += row[j]
            recency[i, k] = recent


summarise = compiled(_summarise, "void(f4[:,::1], i8[::1], boolean, f4[:,::1], f4[:,::1], f4[::1])", fastmath=_NAN_KEPT)
