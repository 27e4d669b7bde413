"""Weights at drawing precision, for client and service: a byte holds 254·√x, rounded; 255 means absent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

LARGEST: Final = 254
"""Byte of the weight 1."""

ABSENT: Final = 255
"""Byte of a weight that is not there, which is NaN as a number."""

SQUARE_ROOT: Final = "round(254*sqrt(weight)), 255 absent"
"""The attribute ``encoding`` of an array that is stored so."""

U8_ERROR: Final = (1 / LARGEST) * (1 + 1 / (4 * LARGEST))
"""The distance of a weight from the one that its byte stands for, at most: half a step of the root, at the weight 1."""


def as_u8(values: Shaped[np.ndarray, "*any"]) -> UInt8[np.ndarray, "*any"]:
    """Return round(254·√x) of weights in 0..1, of any floating type; 255 where NaN."""
    if values.dtype == np.float16:
        return np.asarray(_shades_of_halves()[values.view(np.uint16)])
    wide = np.asarray(values, dtype=np.float32)
    scaled = np.rint(LARGEST * np.sqrt(np.clip(np.nan_to_num(wide), 0, 1)))
    return np.where(np.isnan(wide), ABSENT, scaled).astype(np.uint8)


def from_u8(shades: UInt8[np.ndarray, "*any"]) -> Float32[np.ndarray, "*any"]:
    """Return the weights that `as_u8` rounded, NaN where absent."""
    weights = np.square(np.arange(ABSENT + 1, dtype=np.float32) / LARGEST)
    weights[ABSENT] = np.nan
    return np.asarray(weights[shades], np.float32)


def as_weights(stored: Shaped[np.ndarray, "*any"], attributes: Mapping[str, object]) -> Shaped[np.ndarray, "*any"]:
    """Return stored values as weights in float16, if the attributes of their array say that they are shades."""
    if stored.dtype == np.uint8 and attributes.get("encoding") == SQUARE_ROOT:
        return from_u8(stored).astype(np.float16)
    return stored


@cache
def _shades_of_halves() -> UInt8[np.ndarray, " bits"]:
    """Return `as_u8` of every float16 value, indexed by its bits."""
    return as_u8(np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32))
