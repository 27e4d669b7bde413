"""The parts of a compiled layer beside its attention: products, norms, GELU, rotations, for 32 tokens at a time.

Numbers lie feature by feature, and the tokens of a feature side by side, `step` numbers apart from the next feature.
Each token is computed alone. Attention is in `attnscope_model.forward.compiled.attending`.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np

from attnscope_model.forward.compiled.instructions import lanewise
from attnscope_model.forward.compiled.lanes import (
    LANES,
    every,
    load,
    magnitude,
    root,
    signed,
    spread,
    store,
    two_to,
    whole,
    zero_below,
)

f32 = np.float32

Value = Any
"""A number, an array or lanes, as numba has them."""

BLOCK: Final = 2 * LANES
"""Tokens that go through these parts together."""

ROWS: Final = 4
"""Features that a product computes together; every width is a multiple of it."""

BY_ERROR_FUNCTION: Final = 0
BY_TANH: Final = 1
"""Approximations of GELU, as a layer's facts number them."""

LOG2E: Final = f32(1.4426950408889634)
ZERO, ONE, HALF = f32(0.0), f32(1.0), f32(0.5)
_SMALLEST: Final = f32(-64.0)
# 2^r for |r| <= 1/2: fitted to the least relative error, 9.2e-8.
_E1, _E2, _E3 = f32(0.6931470036506653), f32(0.24022242426872253), f32(0.05550733581185341)
_E4, _E5 = f32(0.009671512991189957), f32(0.001326472731307149)
# erfc(z) exp(z²) as a polynomial of 1 / (1 + 0.4 z), without a constant: fitted to the least error of erf, 2.8e-8.
_PITCH: Final = f32(0.4)
_F1, _F2, _F3 = f32(0.23192211985588074), f32(0.16182345151901245), f32(0.46827444434165955)
_F4, _F5, _F6 = f32(-0.370908260345459), f32(0.7091475127127502), f32(-0.2002592831850052)
_ROOT_OF_HALF: Final = f32(math.sqrt(0.5))
_TANH_1, _TANH_3 = f32(math.sqrt(8 / math.pi)), f32(0.044715 * math.sqrt(8 / math.pi))


_FILLING: Final = False
_ADDING: Final = True


class Layer(NamedTuple):
    """The weights and facts of a layer, as compiled code takes them."""

    weights: Value
    """float32: maps with their biases, in `in_proj`, `out_proj`; both norms; `linear1`, `linear2`."""
    heads: Value
    width: Value
    feed: Value
    """Numbers between the two last maps."""
    pre: Value
    """True where norms come first."""
    gelu: Value
    epsilon1: Value
    epsilon2: Value


class Place(NamedTuple):
    """The numbers of some tokens: where the first feature begins, and how far it is to the next."""

    array: Value
    at: Value
    step: Value


@lanewise
def power(x: Value) -> Value:
    """Return 2 to numbers below 128; 0 below -64, so that no product of it is too small for full speed."""
    near = whole(x)
    r = x - near
    found = spread(_E4) + r * spread(_E5)
    found = spread(_E3) + r * found
    found = spread(_E2) + r * found
    found = spread(_E1) + r * found
    return zero_below((spread(ONE) + r * found) * two_to(near), spread(_SMALLEST), x)


@lanewise
def product(weights: Value, map_at: Value, x: Value, y: Value, rows: Value, columns: Value, adding: Value) -> None:
    """Fill, or add to, the block `y` [row, token] a linear map of the block `x` [column, token].

    The map's weights [row, column] begin at `map_at`, and its bias follows them.
    """
    bias = map_at + rows * columns
    for f in range(0, rows, ROWS):
        a0, a1, a2, a3 = (
            every(weights, bias + f),
            every(weights, bias + f + 1),
            every(weights, bias + f + 2),
            every(weights, bias + f + 3),
        )
        b0, b1, b2, b3 = a0, a1, a2, a3
        y0 = y.at + f * y.step
        y1, y2, y3 = y0 + y.step, y0 + 2 * y.step, y0 + 3 * y.step
        if adding:
            a0, b0 = a0 + load(y.array, y0), b0 + load(y.array, y0 + LANES)
            a1, b1 = a1 + load(y.array, y1), b1 + load(y.array, y1 + LANES)
            a2, b2 = a2 + load(y.array, y2), b2 + load(y.array, y2 + LANES)
            a3, b3 = a3 + load(y.array, y3), b3 + load(y.array, y3 + LANES)
        w0 = map_at + f * columns
        w1, w2, w3 = w0 + columns, w0 + 2 * columns, w0 + 3 * columns
        for k in range(columns):
            left, right = load(x.array, x.at + k * x.step), load(x.array, x.at + k * x.step + LANES)
            w = every(weights, w0 + k)
            a0, b0 = a0 + w * left, b0 + w * right
            w = every(weights, w1 + k)
            a1, b1 = a1 + w * left, b1 + w * right
            w = every(weights, w2 + k)
            a2, b2 = a2 + w * left, b2 + w * right
            w = every(weights, w3 + k)
            a3, b3 = a3 + w * left, b3 + w * right
        store(y.array, y0, a0)
        store(y.array, y0 + LANES, b0)
        store(y.array, y1, a1)
        store(y.array, y1 + LANES, b1)
        store(y.array, y2, a2)
        store(y.array, y2 + LANES, b2)
        store(y.array, y3, a3)
        store(y.array, y3 + LANES, b3)


@lanewise
def normed(weights: Value, norm_at: Value, x: Value, y: Value, width: Value, epsilon: Value) -> None:
    """Fill the block `y` with the block `x` normalised over its features; `y` may be `x`.

    The norm's weights begin at `norm_at`, and its biases follow them.
    """
    share = spread(ONE / f32(width))
    for half in range(0, BLOCK, LANES):
        total = spread(ZERO)
        for f in range(width):
            total = total + load(x.array, x.at + f * x.step + half)
        mean, squares = total * share, spread(ZERO)
        for f in range(width):
            apart = load(x.array, x.at + f * x.step + half) - mean
            squares = squares + apart * apart
        scale = spread(ONE) / root(squares * share + spread(epsilon))
        for f in range(width):
            value = (load(x.array, x.at + f * x.step + half) - mean) * scale
            value = value * every(weights, norm_at + f) + every(weights, norm_at + width + f)
            store(y.array, y.at + f * y.step + half, value)


@lanewise
def activate(x: Value, count: Value, kind: Value) -> None:
    """Put GELU of so many numbers in their place."""
    if kind == BY_ERROR_FUNCTION:
        for i in range(0, count, LANES):
            v = load(x, i)
            z = magnitude(v) * spread(_ROOT_OF_HALF)
            t = spread(ONE) / (spread(ONE) + z * spread(_PITCH))
            tail = spread(_F5) + t * spread(_F6)
            tail = spread(_F4) + t * tail
            tail = spread(_F3) + t * tail
            tail = spread(_F2) + t * tail
            tail = (spread(_F1) + t * tail) * t * power(z * z * spread(-LOG2E))
            half = v * spread(HALF)
            store(x, i, half + half * signed(spread(ONE) - tail, v))
    else:
        for i in range(0, count, LANES):
            v = load(x, i)
            u = v * (spread(_TANH_1) + spread(_TANH_3) * v * v)
            falling = power(magnitude(u) * spread(-LOG2E))  # tanh(u / 2) is (1 - e^-u) / (1 + e^-u)
            half = v * spread(HALF)
            store(x, i, half + half * signed((spread(ONE) - falling) / (spread(ONE) + falling), v))


@lanewise
def entering(layer: Value, x: Value, block: Value, y: Value) -> None:
    """Fill the block `y` with queries, keys and values of the tokens in `x`; `block` is memory for one block."""
    width = layer.width
    if layer.pre:
        inner = Place(block, 0, BLOCK)
        normed(layer.weights, 4 * width * width + 4 * width, x, inner, width, layer.epsilon1)
        product(layer.weights, 0, inner, y, 3 * width, width, _FILLING)
    else:
        product(layer.weights, 0, x, y, 3 * width, width, _FILLING)


@lanewise
def turn(turns: Value, turns_at: Value, turns_step: Value, x: Value, heads: Value, size: Value) -> None:
    """Turn each pair of a head's features (i, i + size/2) of a block by its token's angle.

    Cosines [pair, token] begin at `turns_at`, and sines follow them.
    """
    pairs = size // 2
    for head in range(heads):
        for i in range(pairs):
            left_at = x.at + (head * size + i) * x.step
            right_at = left_at + pairs * x.step
            for half in range(0, BLOCK, LANES):
                cosine = load(turns, turns_at + i * turns_step + half)
                sine = load(turns, turns_at + (pairs + i) * turns_step + half)
                left, right = load(x.array, left_at + half), load(x.array, right_at + half)
                store(x.array, left_at + half, left * cosine - right * sine)
                store(x.array, right_at + half, left * sine + right * cosine)


@lanewise
def finish(layer: Value, x: Value, attended: Value, block: Value, hidden: Value, y: Value) -> None:
    """Fill the block `y`, which is not `x`, with the output of the tokens in `x`; `hidden` has room for `feed` rows."""
    width, feed, weights = layer.width, layer.feed, layer.weights
    out_proj = 3 * width * width + 3 * width
    norm1 = out_proj + width * width + width
    norm2 = norm1 + 2 * width
    linear1 = norm2 + 2 * width
    linear2 = linear1 + feed * width + feed
    for f in range(width):
        for half in range(0, BLOCK, LANES):
            store(y.array, y.at + f * y.step + half, load(x.array, x.at + f * x.step + half))
    product(weights, out_proj, attended, y, width, width, _ADDING)
    inner, wide = Place(block, 0, BLOCK), Place(hidden, 0, BLOCK)
    if layer.pre:
        normed(weights, norm2, y, inner, width, layer.epsilon2)
        product(weights, linear1, inner, wide, feed, width, _FILLING)
    else:
        normed(weights, norm1, y, y, width, layer.epsilon1)
        product(weights, linear1, y, wide, feed, width, _FILLING)
    activate(hidden, feed * BLOCK, layer.gelu)
    product(weights, linear2, wide, y, width, feed, _ADDING)
    if not layer.pre:
        normed(weights, norm2, y, y, width, layer.epsilon2)
