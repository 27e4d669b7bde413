"""Reward noise that is a function of who asks and how often: arrays of rooms and single rooms draw the same numbers.

A room has a key, drawn from its seed; its n-th draw is a hash of key and n (splitmix64, Steele et al., 2014). So the
noise of a room depends neither on its place in a batch nor on its neighbours, and thousands of rooms draw at once.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64, UInt64

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""Increment of splitmix64."""

MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
MANTISSA_BITS = 53
"""Random bits of a float64 between 0 and 1."""


def draw_key(random: np.random.Generator) -> int:
    """Return a room's key."""
    return int(random.integers(2**63))


def uniforms(keys: UInt64[np.ndarray, " env"], draws: Int64[np.ndarray, " env"]) -> Float64[np.ndarray, " env"]:
    """Return the uniform number of each room's draw of this number, in [0, 1)."""
    bits = keys + (draws.astype(np.uint64) + np.uint64(1)) * GOLDEN
    bits = (bits ^ (bits >> SHIFTS[0])) * MULTIPLIERS[0]
    bits = (bits ^ (bits >> SHIFTS[1])) * MULTIPLIERS[1]
    bits ^= bits >> SHIFTS[2]
    numbers: Float64[np.ndarray, " env"] = (bits >> np.uint64(64 - MANTISSA_BITS)) * 2.0**-MANTISSA_BITS
    return numbers


def normals(keys: UInt64[np.ndarray, " env"], draws: Int64[np.ndarray, " env"]) -> Float64[np.ndarray, " env"]:
    """Return the standard normal number of each room's draw of this number (Box and Muller, 1958)."""
    radius = np.sqrt(-2.0 * np.log1p(-uniforms(keys, 2 * draws)))
    numbers: Float64[np.ndarray, " env"] = radius * np.cos(2.0 * np.pi * uniforms(keys, 2 * draws + 1))
    return numbers
