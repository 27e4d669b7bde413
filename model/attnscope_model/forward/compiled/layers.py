"""A whole layer on a CPU, compiled: all tokens of contexts, or their last one alone.

Everything of a context is computed before the next one, so that it stays in the cache, and each context is computed
alone, so that the numbers depend neither on the batch nor on how it is divided. Both are compiled when this module is
imported, for the one signature that they have, and kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from attnscope_model.forward.compiled.attending import attend_all, attend_one
from attnscope_model.forward.compiled.instructions import lanewise
from attnscope_model.forward.compiled.lanes import LANES
from attnscope_model.forward.compiled.parts import BLOCK, Place, Value, finish
from attnscope_model.forward.compiled.projecting import SOURCES, project, read, room_for, scale_of

f32 = np.float32


@lanewise
def _compute_all(
    x: Value,
    out: Value,
    rows: Value,
    tokens: Value,
    causal: Value,
    weights: Value,
    facts: Value,
    epsilons: Value,
    turns: Value,
    turns_step: Value,
    first: Value,
    last: Value,
) -> None:
    """Fill the output of every token of the contexts `first` to `last`, and the last tokens' rows.

    Parameters
    ----------
    x, out
        float32 [env, feature, room]: the tokens' numbers, the room a multiple of `BLOCK`; what lies beyond is finite.
    rows
        float32 [env, head, token], any strides.
    tokens
        Tokens of each context.
    causal
        Whether a token sees only its own and earlier slots.
    weights, facts, epsilons
        The layer; see `attnscope_model.forward.whole_layers`.
    turns, turns_step
        float32 [1 or env, cosine and sine, pair, room], empty where nothing is turned; numbers from one context's
        angles to the next one's.
    """
    layer, room = read(weights, facts, epsilons), room_for(tokens)
    width, size = layer.width, layer.width // layer.heads
    stacked, scores = np.empty(3 * width * room, f32), np.empty((tokens + 1) * LANES, f32)
    block, hidden = np.empty(width * BLOCK, f32), np.empty(layer.feed * BLOCK, f32)
    for env in range(first, last):
        base = env * width * room
        project(layer, Place(x, base, room), turns, env * turns_step, tokens, block, Place(stacked, 0, room))
        for head in range(layer.heads):
            at = head * size * room
            queries, keys = Place(stacked, at, room), Place(stacked, at + width * room, room)
            values = Place(stacked, at + 2 * width * room, room)
            attend_all(queries, keys, values, size, tokens, causal, scale_of(size), scores, rows[env, head])
        for t in range(0, tokens, BLOCK):
            before, after = Place(x, base + t, room), Place(out, base + t, room)
            finish(layer, before, Place(stacked, t, room), block, hidden, after)


@lanewise
def _compute_last(
    x: Value,
    out: Value,
    rows: Value,
    tokens: Value,
    weights: Value,
    facts: Value,
    epsilons: Value,
    turns: Value,
    turns_step: Value,
    first: Value,
    last: Value,
) -> None:
    """Fill the output [env, width] of the last token of the contexts `first` to `last`, and its rows.

    The parameters are those of `_compute_all`.
    """
    layer, room, count = read(weights, facts, epsilons), room_for(tokens), last - first
    width, size, lanes = layer.width, layer.width // layer.heads, room_for(last - first)
    stacked, scores = np.empty(3 * width * room, f32), np.empty(room, f32)
    block, hidden = np.empty(width * BLOCK, f32), np.empty(layer.feed * BLOCK, f32)
    own, attended = np.zeros(width * lanes, f32), np.zeros(width * lanes, f32)
    finished = np.empty(width * lanes, f32)
    for lane in range(count):
        env = first + lane
        base = env * width * room
        project(layer, Place(x, base, room), turns, env * turns_step, tokens, block, Place(stacked, 0, room))
        for head in range(layer.heads):
            at = head * size * room
            query, keys = Place(stacked, at + tokens - 1, room), Place(stacked, at + width * room, room)
            values, place = (
                Place(stacked, at + 2 * width * room, room),
                Place(attended, head * size * lanes + lane, lanes),
            )
            share = attend_one(query, keys, values, size, tokens, scale_of(size), scores, place)
            for j in range(tokens):
                rows[env, head, j] = scores[j] * share
        for f in range(width):
            own[f * lanes + lane] = x[base + f * room + tokens - 1]
    for t in range(0, count, BLOCK):
        finish(layer, Place(own, t, lanes), Place(attended, t, lanes), block, hidden, Place(finished, t, lanes))
    for lane in range(count):
        for f in range(width):
            out[(first + lane) * width + f] = finished[f * lanes + lane]


def _entry_to_all(sources: int) -> Callable[..., None]:
    def entry(
        x: Value,
        out: Value,
        rows: Value,
        tokens: Value,
        causal: Value,
        weights: Value,
        facts: Value,
        epsilons: Value,
        turns: Value,
        turns_step: Value,
        first: Value,
        last: Value,
    ) -> None:
        if sources >= 0:
            _compute_all(x, out, rows, tokens, causal, weights, facts, epsilons, turns, turns_step, first, last)

    return entry


def _entry_to_last(sources: int) -> Callable[..., None]:
    def entry(
        x: Value,
        out: Value,
        rows: Value,
        tokens: Value,
        weights: Value,
        facts: Value,
        epsilons: Value,
        turns: Value,
        turns_step: Value,
        first: Value,
        last: Value,
    ) -> None:
        if sources >= 0:
            _compute_last(x, out, rows, tokens, weights, facts, epsilons, turns, turns_step, first, last)

    return entry


_COMMON: Final = "f4[::1], i8[::1], f4[::1], f4[::1], intp, intp, intp"

compute_all = lanewise(_entry_to_all(SOURCES), f"void(f4[::1], f4[::1], f4[:,:,:], intp, boolean, {_COMMON})")
compute_last = lanewise(_entry_to_last(SOURCES), f"void(f4[::1], f4[::1], f4[:,:,:], intp, {_COMMON})")
