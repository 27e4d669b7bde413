"""Scores of transitions follow their identity, and uniform attention has a lift of 1 however long a context was."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope import measures as m

SLOTS, STEPS = 8, 20
LENGTH = np.minimum(np.arange(STEPS) + 1, SLOTS)[:, None]
START = np.maximum(0, np.arange(STEPS) - SLOTS + 1)[:, None]
EVEN = np.where(np.arange(SLOTS) < LENGTH[..., None], 1 / LENGTH[..., None], np.nan)[:, :, None, None]


def test_accumulated_attention_is_flat_under_uniform_attention():
    """Raw sums favour what was seen longest; their lift does not. Pieces give what the whole gives."""
    whole, pieces = m.AccumulatedAttention(STEPS), m.AccumulatedAttention(STEPS)
    whole.add(EVEN, START, LENGTH)
    for a in range(0, STEPS, 6):
        pieces.add(EVEN[a : a + 6], START[a : a + 6], LENGTH[a : a + 6])
    assert whole.mass[0, 0, 0, 0] > 1.5 * whole.mass[0, 0, 0, 10]
    assert whole.lift[0, 0, 0, :19] == pytest.approx(1)
    assert np.isnan(whole.lift[0, 0, 0, 19])
    assert np.allclose(pieces.mass, whole.mass, equal_nan=True)
    with pytest.raises(m.RowsInvalidError, match="below 5"):
        m.AccumulatedAttention(5).add(EVEN, START, LENGTH)
    with pytest.raises(m.RowsInvalidError, match="no row"):
        _ = m.AccumulatedAttention(5).mass


def test_a_heavy_hitter_is_followed_through_the_window():
    """A transition that every row looks at has the only lift above 1, although its slot changes at every step."""
    transition = m.slot_transitions(START, LENGTH, SLOTS)
    rows = np.where(transition == 6, 0.9, 0.1 / np.maximum(LENGTH - 1, 1)[..., None])[:, :, None, None]
    rows = np.where(np.arange(SLOTS) < LENGTH[..., None, None, None], rows, np.nan)
    board = m.AccumulatedAttention(STEPS)
    board.add(rows, START, LENGTH)
    lift = board.lift[0, 0, 0]
    assert lift[6] > 5
    assert np.nanmax(np.delete(lift, 6)) < 1.5
    recent = m.recent_scores(rows[:13], START[:13], LENGTH[:13], window=4, kernel=1)
    assert recent.transition[0].tolist() == list(range(5, 12))
    assert int(np.nanargmax(recent.score[0, 0, 0])) == 1


def test_scores_of_the_last_row_and_of_uniform_rows():
    """A window of one row is that row; uniform rows have a lift of 1 at any window and kernel."""
    last = m.recent_scores(EVEN[9:10], START[9:10], LENGTH[9:10], window=1, kernel=1)
    assert last.score[0, 0, 0] == pytest.approx(1 / 8)
    smooth = m.recent_scores(EVEN[:12], START[:12], LENGTH[:12], window=6, kernel=3)
    assert smooth.lift[0, 0, 0, :-1] == pytest.approx(1)


def test_tokens_of_a_transition_share_a_score():
    """Three tokens a transition are summed, also in the uniform score that lift divides by."""
    layout = m.ContextLayout(tokens_per_transition=3)
    rows = np.array([0.1, 0.1, 0.2, 0.1, 0.1, 0.1, 0.3])[None, None, None, None]
    got = m.recent_scores(rows, np.array([[4]]), np.array([[7]]), layout, window=1, kernel=1)
    assert got.transition[0].tolist() == [4, 5]
    assert got.score.ravel() == pytest.approx([0.4, 0.3])
    assert got.lift.ravel() == pytest.approx([0.4 * 7 / 3, 0.3 * 7 / 3])
