"""What a recommendation reads: little of a large capture, everything of a small one, in bounded memory."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import attnscope
from attnscope.measures import ContextLayout
from attnscope.recommendations.decisions import decide, history_mass
from attnscope.recommendations.evaluation import split_rollouts
from attnscope.recommendations.reading import LEAD, Block, Labels, plan_blocks, read


def test_a_large_capture_is_sampled():
    """Of 10,000 steps, 8 environments, 4 × 4 heads and 160 slots at most 2 % of the rows' bytes are read."""
    entry = 8 * 4 * 4 * 160 * 2
    blocks = plan_blocks(10_000, entry, targets=64)
    rows = sum(end - first for first, end, _ in blocks)
    assert rows <= 0.02 * 10_000
    assert all(end <= 10_000 and end - first == LEAD + 1 for first, end, _ in blocks)
    assert all(a[1] <= b[0] for a, b in pairwise(blocks))
    assert len({end % 20 for _, end, _ in blocks}) > 3, "bursts fall on different steps of an episode"


def test_everything_is_read_once_on_demand():
    """Blocks of a full reading cover each row once as fresh, with the rows before it at hand, 256 at a time."""
    blocks = plan_blocks(10_000, 10**3, targets=64, full=True)
    assert [row for _, end, fresh in blocks for row in range(fresh, end)] == list(range(10_000))
    assert all(fresh - first == min(fresh, LEAD) for first, _, fresh in blocks)
    assert max(end - first for first, end, _ in blocks) <= 256 + LEAD
    assert max(end - first for first, end, _ in plan_blocks(100, 10**6, targets=64, full=True)) == 4 + LEAD
    assert plan_blocks(40, 10**3, targets=64) == ((0, 40, 0),)


def test_sampled_and_full_readings_agree(captures):
    """A burst's decisions are those of the full reading at the same steps, whatever was read around them."""
    capture = attnscope.open(captures["lasting"])
    whole = read(capture, 90, full=True)
    (block,) = whole.blocks()
    every = decide(block, whole.labels, whole.layout)
    part = Block(block.step[40:57], block.rows[40:57], 0, np.array([16]))
    one = decide(part, whole.labels, whole.layout)
    at = int(np.nonzero(every.step == 56)[0][0])
    assert one.step.tolist() == [56]
    for name in ("attention", "accumulated", "expected", "transition", "reward", "keys"):
        assert np.array_equal(getattr(one.view, name)[0], getattr(every.view, name)[at], equal_nan=True), name


def test_decisions_know_only_what_came_before():
    """Attention of earlier rows is carried by transition; the newest transition has been seen by no row."""
    rows = np.full((3, 1, 1, 1, 4), np.nan)
    rows[0, ..., :2], rows[1, ..., :3], rows[2, ..., :4] = [0.9, 0.1], [0.2, 0.7, 0.1], [0.25] * 4
    labels = Labels(
        np.array([[1], [2], [3], [4]]), np.zeros((4, 1), np.int64), np.zeros(1, np.int64), lane=np.zeros(1, np.int64)
    )
    got = decide(Block(np.array([1, 2, 3]), rows, 0, np.array([2])), labels, ContextLayout())
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
