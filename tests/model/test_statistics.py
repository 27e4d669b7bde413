"""Statistics of decision rows on constructed rows with known answers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope_model.statistics import row_statistics
from attnscope_storage.schema import RECENCY_WINDOWS


def one_row(weights, query_slot="last"):
    """Return the statistics of one row of one head as plain numbers."""
    statistics = row_statistics(torch.tensor(weights).reshape(1, 1, 1, -1), query_slot)
    return {name: values.flatten().tolist() for name, values in statistics.items()}


def test_uniform_rows():
    """Uniform attention over n slots: ln n nats, n effective slots, 1/n for each slot."""
    found = one_row([1 / 32] * 32)
    assert found["entropy"][0] == pytest.approx(math.log(32), abs=1e-6)
    assert found["effective"][0] == pytest.approx(32, rel=1e-6)
    assert found["max"] == found["sink"] == found["self"] == [1 / 32]
    assert found["recency"] == pytest.approx([window / 32 for window in RECENCY_WINDOWS])


@pytest.mark.parametrize("slot", range(25))
def test_one_hot_rows(slot):
    """All weight on one slot: no entropy, one effective slot, and each share is 0 or 1 by where the slot lies."""
    weights = [0.0] * 25
    weights[slot] = 1.0
    found = one_row(weights)
    assert (found["entropy"], found["effective"], found["max"]) == ([0.0], [1.0], [1.0])
    assert found["sink"] == [float(slot == 0)]
    assert found["self"] == [float(slot == 24)]
    assert found["recency"] == [float(24 - window <= slot < 24) for window in RECENCY_WINDOWS]


def test_a_context_of_the_query_alone():
    """With one token its weight is sink and self, and nothing is recent."""
    assert one_row([1.0]) == {
        "entropy": [0.0],
        "max": [1.0],
        "effective": [1.0],
        "sink": [1.0],
        "self": [1.0],
        "recency": [0.0, 0.0, 0.0, 0.0],
    }


def test_a_query_in_front():
    """Where the query stands first, its own slot is 0 and the newest tokens are still the last ones."""
    found = one_row([0.5, 0.25, 0.125, 0.125], "first")
    assert found["self"] == [0.5]
    assert found["recency"] == [0.125, 0.5, 0.5, 0.5]


@settings(max_examples=30, deadline=None)
@given(slots=st.integers(1, 60), sharpness=st.floats(0.0, 20.0), seed=st.integers(0, 1000))
def test_bounds(slots, sharpness, seed):
    """Entropy lies in 0..ln n, effective slots in 1..n and below exp(entropy), windows grow and leave room for self."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.softmax(sharpness * torch.randn(2, 3, 4, slots, generator=generator), dim=-1)
    found = row_statistics(rows, "last")
    assert all(values.shape[:3] == (2, 3, 4) for values in found.values())
    assert found["recency"].shape == (2, 3, 4, len(RECENCY_WINDOWS))
    assert (found["entropy"] >= 0).all()
    assert (found["entropy"] <= math.log(slots) + 1e-5).all()
    assert (found["effective"] >= 1 - 1e-5).all()
    assert (found["effective"] <= found["entropy"].exp() * (1 + 1e-4)).all()
    assert (found["recency"].diff(dim=-1) >= -1e-6).all()
    assert (found["recency"][..., -1] + found["self"] <= 1 + 1e-5).all()
