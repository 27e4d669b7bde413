"""Weights at one byte: rounding, absence, and one answer whatever floating type they have."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope_storage.shades import ABSENT, LARGEST, as_u8, from_u8


def test_square_roots_come_back_within_half_a_step():
    """Between 0 and 1 the square root is off by half of 1/254 at most; the ends are exact."""
    weights = np.linspace(0, 1, 1001, dtype=np.float32)
    assert np.abs(np.sqrt(from_u8(as_u8(weights))) - np.sqrt(weights)).max() <= 0.5 / LARGEST + 1e-6
    assert as_u8(np.array([0.0, 1.0, 1.5, -0.5])).tolist() == [0, LARGEST, LARGEST, 0]


def test_what_is_absent_stays_absent():
    """NaN is 255 and comes back as NaN, in either direction and in no other place."""
    shades = as_u8(np.array([[np.nan, 0.25], [1.0, np.nan]]))
    assert shades.tolist() == [[ABSENT, 127], [LARGEST, ABSENT]]
    assert np.isnan(from_u8(shades)).tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("wide", [np.float32, np.float64])
def test_a_half_has_the_shade_of_its_value(wide):
    """The table of all float16 gives what the formula gives, at every bit pattern."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    with np.errstate(invalid="ignore"):
        assert np.array_equal(as_u8(halves), as_u8(halves.astype(wide)))


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_a_single_weight_stays_an_array(kind):
    """A weight without axes is an array without axes, both ways, as the signatures say."""
    shade = as_u8(np.array(0.25, kind))
    assert isinstance(shade, np.ndarray)
    assert from_u8(shade) == pytest.approx(0.25)
