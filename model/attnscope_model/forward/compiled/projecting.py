"""The first half of a compiled layer: its weights are read, and a context's queries, keys and values are projected."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np

from attnscope_model.forward.compiled.instructions import lanewise
from attnscope_model.forward.compiled.lanes import spread
from attnscope_model.forward.compiled.parts import BLOCK, LOG2E, Layer, Place, Value, entering, turn

f32 = np.float32


@lanewise
def read(weights: Value, facts: Value, epsilons: Value) -> Value:
    """Return a layer; `facts` are heads, width, numbers between the last maps, whether norms come first, GELU."""
    return Layer(weights, facts[0], facts[1], facts[2], facts[3] != 0, facts[4], epsilons[0], epsilons[1])


@lanewise
def scale_of(size: Value) -> Value:
    """Return the factor of a score for heads of this size, in all lanes; scores are powers of two."""
    return spread(LOG2E / f32(math.sqrt(size)))


@lanewise
def room_for(tokens: Value) -> Value:
    """Return so many tokens rounded up to whole blocks."""
    return (tokens + BLOCK - 1) // BLOCK * BLOCK


@lanewise
def project(layer: Value, x: Value, turns: Value, turns_at: Value, tokens: Value, block: Value, stacked: Value) -> None:
    """Fill `stacked` [3 width, room] with queries, keys and values of one context, turned where there are angles."""
    size = layer.width // layer.heads
    for t in range(0, tokens, BLOCK):
        out = Place(stacked.array, stacked.at + t, stacked.step)
        entering(layer, Place(x.array, x.at + t, x.step), block, out)
        if len(turns) > 0:
            turn(turns, turns_at + t, x.step, out, 2 * layer.heads, size)


SOURCES: Final = crc32(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))))
"""A number of all of this folder's sources.

Numba keeps compiled code by the bytes of one source file, and by the values that a function encloses. So each entry
encloses this number, and code that was compiled from other sources is not taken.
"""
