"""Measures of single decision rows on constructed attention with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope import measures as m

SLOTS = 12
FULL = np.array([[SLOTS]])
FIRST = m.ContextLayout(query_slot="first")


def rows_of(*heads: np.ndarray) -> np.ndarray:
    """Return one step, one env, one layer with these heads."""
    return np.stack(heads).astype(np.float64)[None, None, None]


def one_hot(slot: int, slots: int = SLOTS) -> np.ndarray:
    """Return a row that looks at one slot."""
    return np.eye(slots)[slot]


def decaying(rate: float, slots: int = SLOTS) -> np.ndarray:
    """Return a row whose weight falls by exp(-rate) a token into the past."""
    weight = np.exp(-rate * np.arange(slots)[::-1])
    return weight / weight.sum()


UNIFORM = rows_of(np.full(SLOTS, 1 / SLOTS))


def test_uniform_attention_is_its_own_baseline():
    """Every measure of a uniform row is what uniform attention gives it, and the spread measures are at their top."""
    assert m.entropy(UNIFORM, FULL) == pytest.approx(np.log(SLOTS))
    assert m.normalised_entropy(UNIFORM, FULL) == pytest.approx(1)
    assert m.effective_positions(UNIFORM, FULL) == pytest.approx(SLOTS)
    assert m.inverse_participation(UNIFORM, FULL) == pytest.approx(SLOTS)
    assert m.distance_from_uniform(UNIFORM, FULL) == pytest.approx(0)
    assert m.positions_for_mass(UNIFORM, FULL, (0.5, 0.75)).ravel().tolist() == [6, 9]
    recency = m.recency_mass(UNIFORM, FULL, (1, 5, 20))
    assert recency.ravel() == pytest.approx([1 / 12, 5 / 12, 11 / 12])
    baseline = m.over_uniform(lambda rows, length: m.recency_mass(rows, length, (1, 5, 20)), FULL, SLOTS)
    assert m.lift(recency, baseline).ravel() == pytest.approx(1)


def test_one_hot_attention_is_one_position():
    """A row that looks at one token has no entropy, one effective position, and that token's age as its distance."""
    rows = rows_of(one_hot(0), one_hot(SLOTS - 1), one_hot(SLOTS - 4))
    assert m.entropy(rows, FULL) == pytest.approx(0, abs=1e-12)
    assert m.effective_positions(rows, FULL) == pytest.approx(1)
    assert m.inverse_participation(rows, FULL) == pytest.approx(1)
    assert m.positions_for_mass(rows, FULL).max() == 1
    assert m.sink_mass(rows, FULL).ravel().tolist() == [1, 0, 0]
    assert m.self_mass(rows, FULL).ravel().tolist() == [0, 1, 0]
    assert m.recency_mass(rows, FULL, (1, 3, 5))[0, 0, 0].tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 1]]
    held = m.coverage(rows, FULL, (0.8,))
    assert held.oldest.ravel().tolist() == [11, 0, 3]
    assert held.span.ravel().tolist() == [1, 1, 1]


def test_exponential_decay_has_the_geometric_recency():
    """The newest w tokens of a decaying row hold a geometric sum, with the query's own weight left out."""
    q = np.exp(-0.5)
    own = (1 - q) / (1 - q**SLOTS)
    rows = rows_of(decaying(0.5))
    assert m.self_mass(rows, FULL) == pytest.approx(own)
    expected = [own * (q - q ** (w + 1)) / (1 - q) for w in (1, 5, 10)]
    assert m.recency_mass(rows, FULL, (1, 5, 10)).ravel() == pytest.approx(expected)


def test_a_planted_sink_is_found():
    """A sink on the oldest slot has its mass, and pulls the inverse participation below exp(entropy)."""
    rest = decaying(1.0)
    rest[0] = 0
    rest /= rest.sum()
    rows = rows_of(0.6 * one_hot(0) + 0.4 * rest)
    assert m.sink_mass(rows, FULL) == pytest.approx(0.6)
    assert m.effective_positions(rows, FULL) > m.inverse_participation(rows, FULL)


def test_a_query_in_the_first_slot_is_found_there():
    """In a layout with the query first, slot 0 is the query's own, slot 1 the oldest token, the last the newest."""
    rows = rows_of(one_hot(0), one_hot(1), one_hot(SLOTS - 1))
    assert m.self_mass(rows, FULL, FIRST).ravel().tolist() == [1, 0, 0]
    assert m.sink_mass(rows, FULL, FIRST).ravel().tolist() == [0, 1, 0]
    assert m.recency_mass(rows, FULL, (1,), FIRST).ravel().tolist() == [0, 0, 1]
    assert m.ages(FULL, SLOTS, FIRST)[0, 0].tolist() == [0, *range(11, 0, -1)]


def test_tokens_of_one_transition_are_summed():
    """Three tokens a transition become one entry an age; the query's token stays by itself."""
    layout = m.ContextLayout(tokens_per_transition=3)
    length = np.array([[7]])
    rows = rows_of(np.array([0.05, 0.1, 0.15, 0.1, 0.2, 0.15, 0.25]))
    by_transition = m.by_transition_age(m.weights(rows, length), length, layout)
    assert by_transition.ravel() == pytest.approx([0.25, 0.45, 0.3])
    start = np.array([[40]])
    assert m.slot_transitions(start, length, 7, layout).ravel().tolist() == [40] * 3 + [41] * 3 + [-1]


@pytest.mark.parametrize(
    ("rows", "length", "why"),
    [
        (UNIFORM, [[SLOTS - 1]], "NaN past"),
        (UNIFORM * 2, [[SLOTS]], "sum to 1"),
        (rows_of(np.r_[-0.5, np.full(SLOTS - 1, 1.5 / (SLOTS - 1))]), [[SLOTS]], "negative"),
        (rows_of(np.r_[np.nan, np.full(SLOTS - 1, 1 / (SLOTS - 1))]), [[SLOTS]], "NaN in part"),
        (UNIFORM, [[-1]], "found -1"),
    ],
)
def test_rows_that_are_no_attention_are_refused(rows, length, why):
    """Rows that break the contract are refused with the reason, steps never written (length -1) too."""
    with pytest.raises(m.RowsInvalidError, match=why):
        m.check_rows(rows, np.array(length))


def test_uncaptured_rows_are_nan_and_pass_the_check():
    """Absent is not zero: a row of NaN measures as NaN everywhere."""
    absent = np.full_like(UNIFORM, np.nan)
    m.check_rows(absent, FULL)
    for measure in (m.entropy, m.normalised_entropy, m.largest_weight, m.recency_mass):
        assert np.isnan(measure(absent, FULL)).all()
    assert np.isnan(m.coverage(absent, FULL).positions).all()


@st.composite
def attention(draw) -> tuple[np.ndarray, np.ndarray]:
    """Return rows [step, env, layer, head, slot] with their context lengths."""
    seed = draw(st.integers(0, 2**16))
    slots = draw(st.integers(1, 16))
    temperature = draw(st.sampled_from([0.1, 1.0, 10.0]))
    rng = np.random.default_rng(seed)
    length = rng.integers(1, slots + 1, (2, 2))
    score = rng.normal(size=(2, 2, 2, 3, slots)) / temperature
    inside = (np.arange(slots) < length[..., None])[..., None, None, :]
    weight = np.where(inside, np.exp(score - score.max(axis=-1, keepdims=True)), 0)
    rows = weight / weight.sum(axis=-1, keepdims=True)
    return np.where(inside, rows, np.nan), length


@settings(max_examples=40)
@given(attention())
def test_measures_stay_in_their_bounds(drawn):
    """No measure leaves the range that its docstring states, whatever the attention and the length."""
    rows, length = drawn
    n = length[..., None, None]
    m.check_rows(rows, length)
    effective, participation = m.effective_positions(rows, length), m.inverse_participation(rows, length)
    tiny = 1e-9
    assert ((effective >= 1 - tiny) & (effective <= n + tiny)).all()
    assert ((participation >= 1 - tiny) & (participation <= effective + tiny)).all()
    normalised = m.normalised_entropy(rows, length)
    assert ((normalised >= -tiny) & (normalised <= 1 + tiny)).all()
    assert (m.distance_from_uniform(rows, length) <= 1 - 1 / n + tiny).all()
    positions = m.positions_for_mass(rows, length)
    assert ((positions >= 1) & (positions <= n[..., None])).all()
    assert (np.diff(positions, axis=-1) >= 0).all()
    held = m.coverage(rows, length)
    assert np.array_equal(held.positions, positions)
    assert (held.span >= held.positions).all()
    recency = m.recency_mass(rows, length)
    assert (recency + m.self_mass(rows, length)[..., None] <= 1 + tiny).all()


@settings(max_examples=20)
@given(attention(), st.permutations(range(3)))
def test_heads_do_not_meet(drawn, order):
    """Permuting heads permutes every measure: no head's number depends on another's."""
    rows, length = drawn
    for measure in (m.entropy, m.largest_weight, m.sink_mass, m.positions_for_mass):
        moved = measure(rows[:, :, :, order], length)
        assert np.allclose(moved, measure(rows, length)[:, :, :, order], equal_nan=True)


@pytest.mark.parametrize("slots", [5, 20, 240])
def test_growing_the_context_leaves_normalised_measures(slots):
    """Uniform attention is 'as broad as can be' at every context length, although its entropy is not the same."""
    rows, length = rows_of(np.full(slots, 1 / slots)), np.array([[slots]])
    assert m.normalised_entropy(rows, length) == pytest.approx(1)
    assert m.effective_positions(rows, length) / slots == pytest.approx(1)
    assert m.entropy(rows, length) == pytest.approx(np.log(slots))
