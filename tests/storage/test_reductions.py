"""Reductions of attention against their plain definitions."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope_storage.reductions import (
    age_profile,
    factor,
    per_largest_entropy,
    pooled,
    retained_mass,
    total_over_steps,
)
from attnscope_storage.shades import as_u8, from_u8

LENGTH = np.array([[3, 5], [5, 5], [4, 1]])


@pytest.fixture
def rows() -> np.ndarray:
    """Return random decision rows [step, env, layer, head, slot] of `LENGTH`."""
    random = np.random.default_rng(3)
    made = random.exponential(size=(3, 2, 2, 1, 6))
    made[np.broadcast_to((np.arange(6) >= LENGTH[..., None])[:, :, None, None], made.shape)] = np.nan
    return made / np.nansum(made, axis=-1, keepdims=True)


def plain_ages(row: np.ndarray, n: int, query_slot: str) -> np.ndarray:
    """Return a row's weights by age."""
    return row[:n][::-1] if query_slot == "last" else np.concatenate([row[:1], row[1:n][::-1]])


@pytest.mark.parametrize("query_slot", ["last", "first"])
def test_the_age_profile_is_the_mean_by_age_of_the_steps_that_count(rows, query_slot):
    """An age that a context does not reach is left out of that age's mean."""
    got = age_profile(rows, LENGTH, query_slot, least=4).mean
    for env, counted in ((0, [1, 2]), (1, [0, 1])):
        for age in range(5):
            held = [s for s in counted if LENGTH[s, env] > age]
            want = np.mean([plain_ages(rows[s, env, 1, 0], LENGTH[s, env], query_slot)[age] for s in held])
            assert got[env, 1, 0, age] == pytest.approx(want)
    assert np.isnan(got[..., 5]).all()


@pytest.mark.parametrize(("query_slot", "per"), [("last", 1), ("first", 1), ("last", 2)])
def test_the_retained_mass_is_that_of_the_best_transitions(rows, query_slot, per):
    """Chosen head by head at each step; the query is always kept; tokens of a transition stay together."""
    got = retained_mass(rows, LENGTH, query_slot, 4, tokens_per_transition=per).mean
    for env in range(2):
        want = np.zeros(4)
        for step in range(3):
            aged = plain_ages(rows[step, env, 0, 0], LENGTH[step, env], query_slot)
            past = [aged[1:][at : at + per].sum() for at in range(0, len(aged) - 1, per)]
            best = np.sort(past)[::-1]
            kept = [min(len(past), max(1, len(past) * k // 4)) for k in range(1, 5)]
            want += np.array([aged[0] + best[:count].sum() for count in kept]) / 3
        assert got[env, 0, 0] == pytest.approx(want)


def test_totals_of_blocks_add_up_and_nan_never_counts():
    """A mean over steps is that of the steps that count, however they were cut."""
    values = np.array([[1.0, 2.0], [np.nan, 4.0], [5.0, 6.0]])
    counts = np.array([[True, False], [True, True], [True, True]])
    whole = total_over_steps(values, counts)
    parts = total_over_steps(values[:1], counts[:1]) + total_over_steps(values[1:], counts[1:])
    assert whole.mean.tolist() == parts.mean.tolist() == [3.0, 5.0]


def test_entropies_are_divided_by_that_of_uniform_attention():
    """A context of one token is uniform; an absent entropy stays absent."""
    nats = np.log(np.array([[[4.0], [2.0]], [[1.0], [np.nan]]]))
    got = per_largest_entropy(nats, np.array([[4, 4], [1, 1]]))[..., 0]
    assert got == pytest.approx(np.array([[1, 0.5], [1, np.nan]]), nan_ok=True)


@pytest.mark.parametrize("by", ["mean", "max"])
def test_a_pooled_map_holds_blocks_and_leaves_nan_out(by):
    """Cells at the border are of what is there; a small map comes as it is."""
    map_ = np.random.default_rng(0).random((2, 5, 5)).astype(np.float32)
    map_[:, :, 4] = np.nan
    got = pooled(map_, 3, by)
    assert got.shape == (2, 3, 3)
    reduce = np.nanmean if by == "mean" else np.nanmax
    assert got[1, 0, 1] == pytest.approx(reduce(map_[1, 0:2, 2:4]))
    assert got[1, 2, 0] == pytest.approx(reduce(map_[1, 4:5, 0:2]))
    assert np.isnan(got[:, :, 2]).all()
    assert np.array_equal(pooled(map_, 5, by), map_, equal_nan=True)
    assert (factor(1024, 256), factor(1025, 256), factor(100, 256)) == (4, 5, 1)


def test_shades_of_halves_and_of_floats_are_the_same():
    """The table of all float16 gives what the formula gives, and roots move by half a level at most."""
    weights = np.linspace(0, 1, 1001).astype(np.float16)
    assert np.array_equal(as_u8(weights), as_u8(weights.astype(np.float32)))
    assert np.abs(np.sqrt(from_u8(as_u8(weights))) - np.sqrt(weights.astype(np.float32))).max() <= 0.5 / 254 + 1e-6
    assert np.isnan(from_u8(as_u8(np.array([np.nan]))))[0]
