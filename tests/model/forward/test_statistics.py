"""Statistics of decision rows, in torch and compiled: known answers, and an independent float64 computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope_model.forward.statistics import compiled_statistics, row_statistics
from attnscope_storage.kinds.capture.schema import RECENCY_WINDOWS


def by_torch(rows, query_slot):
    """Return the statistics of rows as arrays, by torch."""
    return {name: values.numpy() for name, values in row_statistics(rows, query_slot).items()}


def by_kernel(rows, query_slot):
    """Return the statistics of rows as arrays, by the compiled kernel."""
    return compiled_statistics(rows, query_slot)[0]


@pytest.fixture(params=[by_torch, by_kernel])
def statistics(request):
    """Return one of the two ways."""
    return request.param


@pytest.fixture
def one_row(statistics):
    """Return a function that gives the statistics of one row of one head as plain numbers."""

    def found(weights, query_slot="last"):
        values = statistics(torch.tensor(weights).reshape(1, 1, 1, -1), query_slot)
        return {name: value.ravel().tolist() for name, value in values.items()}

    return found


def in_float64(rows, query_slot):
    """Return the statistics by their definitions, one row at a time, in float64."""
    rows = rows.double().numpy()
    found = {name: np.empty(rows.shape[:3]) for name in ("entropy", "max", "effective", "sink", "self")}
    found["recency"] = np.empty((*rows.shape[:3], len(RECENCY_WINDOWS)))
    for place in np.ndindex(*rows.shape[:3]):
        row = rows[place].tolist()
        others = row[:-1] if query_slot == "last" else row[1:]
        found["entropy"][place] = -math.fsum(weight * math.log(weight) for weight in row if weight > 0)
        found["max"][place] = max(row)
        found["effective"][place] = 1 / math.fsum(weight * weight for weight in row)
        found["sink"][place] = row[0]
        found["self"][place] = row[-1 if query_slot == "last" else 0]
        found["recency"][place] = [math.fsum(others[max(0, len(others) - window) :]) for window in RECENCY_WINDOWS]
    return found


@pytest.mark.parametrize("query_slot", ["first", "last"])
@pytest.mark.parametrize("slots", [1, 2, 5, 21, 160, 333])
def test_agree_with_their_definitions(statistics, slots, query_slot):
    """From flat rows to peaked ones with weights that vanish, and cut out of a longer room, to float32's rounding."""
    generator = torch.Generator().manual_seed(slots)
    sharpness = torch.tensor([0.0, 1.0, 10.0, 300.0])[:, None, None, None]
    room = torch.empty(4, 2, 3, slots + 7)
    rows = room[..., :slots]
    rows.copy_(torch.softmax(sharpness * torch.randn(4, 2, 3, slots, generator=generator), dim=-1))
    found, expected = statistics(rows, query_slot), in_float64(rows, query_slot)
    assert found.keys() == expected.keys()
    for name, values in found.items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, expected[name], rtol=2e-6, atol=2e-6, err_msg=name)


def test_the_kernel_says_how_far_sums_are_off():
    """The furthest row's sum from 1, and NaN where a weight is not a number: such rows are refused."""
    rows = torch.softmax(torch.randn(2, 3, 4, 50), dim=-1)
    assert compiled_statistics(rows, "last")[1] < 1e-6
    spoiled = rows.clone()
    spoiled[1, 2, 3] *= 1.5
    spoiled[0, 0, 0] *= 0.75
    assert compiled_statistics(spoiled, "last")[1] == pytest.approx(0.5, abs=1e-6)
    spoiled[0, 2, 1, 49] = math.nan
    assert math.isnan(compiled_statistics(spoiled, "last")[1])


def test_the_kernel_gives_a_row_the_same_bits_in_any_batch():
    """The rows beside a row do not change its statistics, so a subset or another batch has equal bits."""
    rows = torch.softmax(3 * torch.randn(5, 2, 3, 77), dim=-1)
    whole, alone = by_kernel(rows, "last"), by_kernel(rows[3:4].clone(), "last")
    for name, values in whole.items():
        assert values[3:4].tobytes() == alone[name].tobytes(), name


def test_uniform_rows(one_row):
    """Uniform attention over n slots: ln n nats, n effective slots, 1/n for each slot."""
    found = one_row([1 / 32] * 32)
    assert found["entropy"][0] == pytest.approx(math.log(32), abs=1e-6)
    assert found["effective"][0] == pytest.approx(32, rel=1e-6)
    assert found["max"] == found["sink"] == found["self"] == [1 / 32]
    assert found["recency"] == pytest.approx([window / 32 for window in RECENCY_WINDOWS])


@pytest.mark.parametrize("slot", range(25))
def test_one_hot_rows(one_row, slot):
    """All weight on one slot: no entropy, one effective slot, and each share is 0 or 1 by where the slot lies."""
    weights = [0.0] * 25
    weights[slot] = 1.0
    found = one_row(weights)
    assert (found["entropy"], found["effective"], found["max"]) == ([0.0], [1.0], [1.0])
    assert found["sink"] == [float(slot == 0)]
    assert found["self"] == [float(slot == 24)]
    assert found["recency"] == [float(24 - window <= slot < 24) for window in RECENCY_WINDOWS]


def test_a_context_of_the_query_alone(one_row):
    """With one token its weight is sink and self, and nothing is recent."""
    assert one_row([1.0]) == {
        "entropy": [0.0],
        "max": [1.0],
        "effective": [1.0],
        "sink": [1.0],
        "self": [1.0],
        "recency": [0.0, 0.0, 0.0, 0.0],
    }


def test_a_query_in_front(one_row):
    """If the query stands first, its own slot is 0 and the newest tokens are still the last ones."""
    found = one_row([0.5, 0.25, 0.125, 0.125], "first")
    assert found["self"] == [0.5]
    assert found["recency"] == [0.125, 0.5, 0.5, 0.5]


@settings(max_examples=30)
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
