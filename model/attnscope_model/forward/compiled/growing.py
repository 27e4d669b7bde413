"""A whole layer on a CPU, compiled: the new tokens of growing contexts, beside the kept keys and values of the others.

The new tokens of all contexts lie side by side; each is computed alone. Compiled when this module is imported.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from attnscope_model.forward.compiled.attending import attend_one, attend_two
from attnscope_model.forward.compiled.instructions import lanewise
from attnscope_model.forward.compiled.parts import BLOCK, ONE, Place, Value, finish
from attnscope_model.forward.compiled.projecting import SOURCES, project, read, room_for, scale_of

f32 = np.float32


@lanewise
def _compute_new(
    x: Value,
    out: Value,
    rows: Value,
    keys: Value,
    values: Value,
    held: Value,
    new: Value,
    last_only: Value,
    weights: Value,
    facts: Value,
    epsilons: Value,
    turns: Value,
    begin: Value,
    count: Value,
) -> None:
    """Fill the output of new tokens of causal contexts that grow, keep their keys and values, and fill the last's rows.

    Parameters
    ----------
    x
        float32 [feature, room]: the new tokens of `count` contexts from `begin` on, context after context.
    out
        The same of the outputs; of the last token of each context alone, with `last_only`.
    rows
        float32 [env, head, slot], any strides.
    keys, values
        float32 [env, width, capacity], finite everywhere, the capacity a multiple of `LANES`.
    held, new
        Tokens of each context that are kept already, and that are new.
    """
    layer, width, room = read(weights, facts, epsilons), facts[1], room_for(count * new)
    size, capacity, given = width // layer.heads, keys.shape[2], 1 if last_only else new
    lanes = room_for(count * given)
    stacked, scores = np.empty(3 * width * room, f32), np.empty(2 * capacity, f32)
    block, hidden = np.empty(width * BLOCK, f32), np.empty(layer.feed * BLOCK, f32)
    own, attended = np.zeros(width * lanes, f32), np.zeros(width * lanes, f32)
    project(layer, Place(x, 0, room), turns, 0, count * new, block, Place(stacked, 0, room))
    for env in range(count):
        for f in range(width):
            for i in range(new):
                keys[begin + env, f, held + i] = stacked[(width + f) * room + env * new + i]
                values[begin + env, f, held + i] = stacked[(2 * width + f) * room + env * new + i]
            for i in range(given):
                own[f * lanes + env * given + i] = x[f * room + env * new + new - given + i]
        kept_keys, kept_values = keys[begin + env].reshape(-1), values[begin + env].reshape(-1)
        for head in range(layer.heads):
            asked, filled = head * size * room + env * new + new - given, head * size * lanes + env * given
            head_keys = Place(kept_keys, head * size * capacity, capacity)
            head_values = Place(kept_values, head * size * capacity, capacity)
            share, scale, seen = ONE, scale_of(size), held + new - given
            if given % 2 == 1:
                query, place = Place(stacked, asked, room), Place(attended, filled, lanes)
                share = attend_one(query, head_keys, head_values, size, seen + 1, scale, scores, place)
            for i in range(given % 2, given, 2):
                query, place = Place(stacked, asked + i, room), Place(attended, filled + i, lanes)
                share = attend_two(query, head_keys, head_values, size, seen + i + 2, scale, scores, capacity, place)
            last = 0 if given == 1 else capacity
            for j in range(held + new):
                rows[begin + env, head, j] = scores[last + j] * share
    for t in range(0, count * given, BLOCK):
        finish(layer, Place(own, t, lanes), Place(attended, t, lanes), block, hidden, Place(out, t, lanes))


def _entry_to_new(sources: int) -> Callable[..., None]:
    def entry(
        x: Value,
        out: Value,
        rows: Value,
        keys: Value,
        values: Value,
        held: Value,
        new: Value,
        last_only: Value,
        weights: Value,
        facts: Value,
        epsilons: Value,
        turns: Value,
        begin: Value,
        count: Value,
    ) -> None:
        if sources >= 0:
            _compute_new(
                x, out, rows, keys, values, held, new, last_only, weights, facts, epsilons, turns, begin, count
            )

    return entry


compute_new = lanewise(
    _entry_to_new(SOURCES),
    "void(f4[::1], f4[::1], f4[:,:,:], f4[:,:,::1], f4[:,:,::1], intp, intp, boolean, "
    "f4[::1], i8[::1], f4[::1], f4[::1], intp, intp)",
)
