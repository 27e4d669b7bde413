"""Attention on marked places, by age, along transitions, between heads and under budgets: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope import measures as m

SLOTS, STEPS = 8, 20
LENGTH = np.minimum(np.arange(STEPS) + 1, SLOTS)[:, None]
START = np.maximum(0, np.arange(STEPS) - SLOTS + 1)[:, None]
EPISODE = (np.arange(STEPS) // 5)[:, None]


def rows_on(target: np.ndarray) -> np.ndarray:
    """Return rows [step, 1, 1, 1, slot] that look at slot `target` of their step."""
    rows = np.where(np.arange(SLOTS) < LENGTH, 0.0, np.nan)
    rows[np.arange(STEPS), target] = 1
    return rows[:, None, None, None]


EVEN = np.where(np.arange(SLOTS) < LENGTH[..., None], 1 / LENGTH[..., None], np.nan)[:, :, None, None]
TRANSITION = m.slot_transitions(START, LENGTH, SLOTS)


def test_mass_on_episode_starts_beside_uniform():
    """Rows that look at an episode's first transition have mass 1 there; uniform rows their share of slots."""
    starts = m.marks_of(m.is_episode_start(EPISODE).astype(int), TRANSITION) == 1
    target = np.where(starts.any(axis=-1), starts.argmax(axis=-1), 0)[:, 0]
    planted = m.mass_on(rows_on(target), LENGTH, starts)[:, 0, 0, 0]
    assert planted[1:].tolist() == [1] * (STEPS - 1)
    assert planted[0] == 0
    even = m.mass_on(EVEN, LENGTH, starts)[:, 0, 0, 0]
    assert even[7] == pytest.approx(2 / 8)
    assert m.mass_on(m.uniform_rows(LENGTH, SLOTS), LENGTH, starts)[:, 0, 0, 0] == pytest.approx(even)


def test_mass_on_rewards_and_states():
    """Masses on rewarded transitions and on those from the query's own state."""
    reward = np.where(np.arange(STEPS) == 6, 1.0, 0.0)[:, None]
    signs = m.marks_of(m.reward_sign(reward), TRANSITION)
    masses = [m.mass_on(EVEN, LENGTH, signs == sign)[9, 0, 0, 0] for sign in range(3)]
    assert masses == pytest.approx([6 / 8, 1 / 8, 0])
    state = m.state_ids(np.stack([np.arange(STEPS) % 2, np.zeros(STEPS)], axis=-1)[:, None])
    same = m.same_state(state, TRANSITION, np.arange(STEPS))
    assert m.mass_on(EVEN, LENGTH, same)[9, 0, 0, 0] == pytest.approx(3 / 8)


def test_the_query_has_its_kind_at_every_length():
    """Full-context kinds are moved to where a shorter context has them."""
    kinds = m.token_kinds(np.array([0] * 7 + [4]), LENGTH)
    assert kinds[2, 0].tolist() == [0, 0, 4] + [-1] * 5
    assert kinds[-1, 0].tolist() == [0] * 7 + [4]


def test_profiles_count_what_they_average():
    """Uniform attention has 1/length at each age, and longer ages rest on fewer rows."""
    mean = m.RolloutMean()
    mean.add(m.relative_profile(EVEN, LENGTH))
    assert mean.count[0, 0, 0].tolist() == [20, 19, 18, 17, 16, 15, 14, 13]
    assert mean.mean[0, 0, 0, 7] == pytest.approx(1 / 8)
    marked = m.relative_profile(EVEN, LENGTH, mark=TRANSITION == 3)
    assert np.nonzero(np.isfinite(marked[6, 0, 0, 0]))[0].tolist() == [3]


def test_decay_is_recovered():
    """The fits return a planted rate and a planted exponent, say which of the two it is, and 0 for flat attention."""
    age = np.arange(0, 60)
    got = m.fit_decay(np.stack([np.exp(-0.07 * age), np.maximum(age, 1) ** -1.3, np.full(60, 0.01)]))
    assert got.rate[0] == pytest.approx(0.07)
    assert got.exponent[1] == pytest.approx(1.3)
    assert got.rate_fit[0] == pytest.approx(1)
    assert got.rate_fit[1] < 0.9 < got.exponent_fit[1]
    assert got.rate[2] == 0
    assert np.isnan(m.fit_decay(np.array([0.9, 0.1, 0.0])).rate)


def test_a_transition_is_followed_through_the_sliding_window():
    """Rows that always look at transition 6 give it 1 as long as it is in the context, whatever its slot."""
    target = np.where(TRANSITION[:, 0] == 6)
    at = np.zeros(STEPS, int)
    at[target[0]] = target[1]
    line = m.transition_timeline(rows_on(at), START, LENGTH, 5, 8)[:, 0, 0, 0]
    assert line[7:14, 1].tolist() == [1] * 7
    assert np.isnan(line[:7, 1]).all()
    assert np.isnan(line[14:, 1]).all()
    assert line[9, 2] == 0


def test_tokens_of_a_transition_are_one_line():
    """With three tokens a transition their attention is summed on the timeline."""
    layout = m.ContextLayout(tokens_per_transition=3)
    rows = np.array([0.1, 0.1, 0.2, 0.1, 0.1, 0.1, 0.3])[None, None, None, None]
    line = m.transition_timeline(rows, np.array([[4]]), np.array([[7]]), 4, 6, layout)
    assert line.ravel() == pytest.approx([0.4, 0.3])


def test_disjoint_heads_are_a_bit_apart_and_equal_heads_nothing():
    """Heads that share no slot diverge by one bit; clusters join what looks alike and nothing else."""
    a, b = np.eye(SLOTS)[0], np.eye(SLOTS)[5]
    rows = np.stack([np.stack([a, b]), np.stack([a, 0.9 * b + 0.1 * a])])[None, None]
    far = m.head_divergence(rows, np.array([[SLOTS]]))[0, 0]
    assert far[0].tolist()[:3] == [0, 1, 0]
    assert m.cluster_heads(far, 0.2).tolist() == [0, 1, 0, 1]
    assert m.cluster_heads(far, 0.0).tolist() == [0, 1, 0, 2]
    with pytest.raises(m.NotMeasurableError):
        m.cluster_heads(np.full((2, 2), np.nan), 0.1)


def test_heads_kept_apart_are_not_flat():
    """Two opposite one-hot heads average to a spread row: measures a head say sparse where the mean would not."""
    rows = np.stack([np.eye(SLOTS)[i] for i in range(SLOTS)])[None, None, None]
    length = np.array([[SLOTS]])
    assert m.effective_positions(rows, length).mean() == pytest.approx(1)
    assert m.effective_positions(rows.mean(axis=3, keepdims=True), length).item() == pytest.approx(SLOTS)


def test_cost_curves_of_known_attention():
    """Uniform rows retain what any blind choice does; disjoint heads lose when they must share their tokens."""
    length = np.array([[SLOTS]])
    even = m.cost_curve(EVEN[-1:], length, (0.3, 1.0))
    assert even.own.ravel() == pytest.approx([3 / 8, 1])
    assert even.shared.ravel() == pytest.approx(even.uniform.ravel())
    rows = np.stack([np.eye(SLOTS)[0], np.eye(SLOTS)[5]])[None, None, None]
    curve = m.cost_curve(rows, length, (0.15, 0.3))
    assert curve.own[0, 0, 0].tolist() == [[1, 1], [1, 1]]
    assert sorted(curve.shared[0, 0, 0, :, 0].tolist()) == [0, 1]
    assert curve.shared[0, 0, 0, :, 1].tolist() == [1, 1]
