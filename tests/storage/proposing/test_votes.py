"""The three votes of a screen, on arrays small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope_storage.proposing import (
    Votes,
    by_votes,
    distinct,
    first_listed,
    first_of_each,
    least_departing,
    rollout_means,
    votes_of,
)

TASK = np.array([3, 3, 8])
DEPARTURE = np.array(
    [
        [[0.2, 0.4], [0.1, 0.1], [0.3, 0.0], [0.2, 0.4]],
        [[0.2, 0.2], [0.1, 0.3], [0.5, 0.0], [0.2, 0.2]],
        [[0.6, 0.2], [0.1, 0.1], [0.2, 0.0], [0.6, 0.2]],
    ]
)
ARRAYS = {
    "screen/departure": DEPARTURE,
    "screen/signed": -DEPARTURE,
    "screen/retained": np.broadcast_to([0.5, 0.9, 0.7, 0.5], (2, 3, 4)).transpose(1, 2, 0),
    "screen/kept": np.full(DEPARTURE.shape, 2),
    "decision/live": np.array([[1, 1], [1, 0], [1, 0]]),
    "decision/follows": np.array([[0, 1], [0, 0], [0, 0]]),
}


def test_means_are_over_live_decisions_rollouts_and_tasks_alike():
    """A task with two rollouts counts as one with a single rollout; retained attention is negated."""
    votes = votes_of(ARRAYS, TASK)
    assert votes.departure[:2] == pytest.approx([((0.3 + 0.2) / 2 + 0.6) / 2, 0.1])
    assert votes.signed[0] == pytest.approx(-0.4), "only one decision is followed by a reward"
    assert votes.retained == pytest.approx([-0.5, -0.9, -0.7, -0.5])


def test_a_rollout_without_such_decisions_has_no_mean():
    """The mean over no decision is not a number, and no zero."""
    means = rollout_means(DEPARTURE, ARRAYS["decision/follows"] != 0)
    assert np.isfinite(means[0]).all()
    assert np.isnan(means[1:]).all()


def test_votes_without_numbers_are_left_out():
    """Without stored rows there is no retained vote; where no reward follows there is no signed one."""
    arrays = {name: values for name, values in ARRAYS.items() if name != "screen/retained"}
    arrays |= {"decision/follows": np.zeros((3, 2))}
    votes = votes_of(arrays, TASK)
    assert list(votes.named) == ["departure"]
    assert first_of_each(votes, [0, 1, 2]) == {"departure": [1, 2, 0]}


def test_each_vote_has_its_own_first_arms():
    """Departure and retained attention want the least change, signed loss the least loss."""
    first = first_of_each(votes_of(ARRAYS, TASK), [0, 1, 2], first=1)
    assert first == {"departure": [1], "signed loss": [0], "retained attention": [1]}


def test_arms_are_listed_by_their_mean_rank():
    """The arm that no vote puts behind others is first; equal ranks keep their order; absent votes do not count."""
    nothing = np.full(4, np.nan)
    votes = Votes(np.array([0.3, 0.1, 0.2, 0.3]), np.array([0.0, 0.2, 0.1, 0.3]), nothing)
    assert by_votes(votes, [0, 1, 2, 3]) == [0, 1, 2, 3]
    assert by_votes(votes, [3, 1, 2]) == [1, 2, 3]
    assert by_votes(Votes(votes.departure, nothing, nothing), [3, 0, 1, 2]) == [1, 2, 3, 0]


def test_the_positions_that_depart_least_stand_for_a_rule():
    """Of two ways to stand of one rule the one that departs less is compared with other rules."""
    votes = votes_of(ARRAYS, TASK)
    assert least_departing(votes, ["newest", "newest", "random", "random"], [0, 1, 2, 3]) == [1, 2]


def test_arms_that_kept_and_decided_the_same_are_one():
    """The first in the given order remains; another budget, or other tokens kept, is another arm."""
    assert distinct(ARRAYS, [8] * 4, [3, 0, 1, 2]) == [3, 1, 2]
    assert distinct(ARRAYS, [8, 8, 8, 9], [0, 1, 2, 3]) == [0, 1, 2, 3]
    kept = ARRAYS["screen/kept"].copy()
    kept[0, 3, 0] = 1
    assert distinct(ARRAYS | {"screen/kept": kept}, [8] * 4, [0, 1, 2, 3]) == [0, 1, 2, 3]


def test_the_default_positions_are_those_listed_first():
    """If departures order nothing, a rule's first position policy stands for it, however much it departs."""
    assert first_listed(["newest", "newest", "random", "random"], [0, 1, 2, 3]) == [0, 2]
    assert first_listed(["newest", "newest", "random", "random"], [1, 3]) == [1, 3]
