"""Decisions as a strategy would meet them, whatever was read around them."""

from __future__ import annotations

import numpy as np
import pytest

import attnscope
from attnscope.measures import ContextLayout
from attnscope.reading import Choice, read
from attnscope.reading.reading import Burst
from attnscope.recommendations.attention.decisions import decide, history_mass
from attnscope.recommendations.attention.evaluation import split_rollouts


def test_a_burst_and_the_full_reading_give_the_same_decision(planted):
    """The known history of a decision does not depend on the other rows that were read."""
    capture = attnscope.open(planted(steps=60, envs=2))
    whole = read(capture, Choice(full=True))
    (block,) = whole.bursts()
    every = decide(block, whole)
    assert every.step.tolist() == list(range(60)), "with --full every decision is judged"
    part = Burst(0, 1, block.step[40:57], block.mean[40:57], 0, block.rows[56:57], np.array([16]))
    one = decide(part, whole)
    assert one.step.tolist() == [56]
    for name in ("attention", "accumulated", "expected", "transition", "reward", "keys"):
        assert np.array_equal(getattr(one.view, name)[0], getattr(every.view, name)[56], equal_nan=True), name
    assert np.array_equal(one.mass[0], every.mass[56])


def test_decisions_know_only_what_came_before(planted):
    """Attention of earlier rows is carried by transition; the newest transition has been seen by no row."""
    reading = read(attnscope.open(planted(steps=60, envs=1, layers=1, heads=1, slots=4)))
    rows = np.full((3, 1, 1, 1, 4), np.nan, np.float32)
    rows[0, ..., :2], rows[1, ..., :3], rows[2, ..., :4] = [0.9, 0.1], [0.2, 0.7, 0.1], [0.25] * 4
    burst = Burst(0, 1, np.array([1, 2, 3]), rows[:, :, 0, 0], 0, rows[2:].astype(np.float16), np.array([2]))
    got = decide(burst, reading)
    attention = got.view.attention[0, 0, -2:]
    assert attention == pytest.approx(np.array([[0.9, np.nan, np.nan], [0.2, 0.7, np.nan]]), nan_ok=True)
    assert got.view.accumulated[0, 0] == pytest.approx([1.1, 0.7, np.nan], nan_ok=True)
    assert got.view.expected[0, 0] == pytest.approx([1 / 2 + 1 / 3, 1 / 3, 0])
    assert got.mass[0, 0, 0, 0] == pytest.approx([0.25] * 3)
    assert got.own.item() == pytest.approx(0.25)


@pytest.mark.parametrize("query_slot", ["first", "last"])
def test_three_tokens_of_a_transition_are_one_entry(query_slot):
    """Tokens of a transition are kept or dropped together, so their attention is summed, wherever the query is."""
    history = [0.05, 0.1, 0.15, 0.1, 0.2, 0.15]
    row = [0.25, *history] if query_slot == "first" else [*history, 0.25]
    rows = np.array(row)[None, None, None, None]
    mass, own = history_mass(rows, np.array([[7]]), ContextLayout(query_slot, 3))
    assert mass.ravel() == pytest.approx([0.3, 0.45])
    assert own.item() == pytest.approx(0.25)


def test_choosing_and_judging_rollouts_never_meet():
    """Half of each task's rollouts choose; with one rollout a task every other task does; one alone chooses nothing."""
    chosen, judged, _ = split_rollouts(np.array([0, 0, 0, 1, 1]))
    assert chosen.tolist() == [0, 3]
    assert judged.tolist() == [1, 2, 4]
    chosen, judged, how = split_rollouts(np.array([5, 6, 7]))
    assert chosen.tolist() == [1]
    assert judged.tolist() == [0, 2]
    assert "other task" in how
    chosen, judged, how = split_rollouts(np.array([5]))
    assert (chosen.tolist(), judged.tolist()) == ([], [0])
    assert "nothing was chosen" in how
