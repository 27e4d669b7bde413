"""The bound on how often an arm differs."""

import pytest
from scipy import stats

from attnscope_server.deciding.statistics.sameness import sameness


@pytest.mark.parametrize(("episodes", "differing"), [(100, 0), (100, 2), (40, 39)])
def test_the_bound_is_clopper_and_pearsons(episodes, differing):
    """At the bound, as few differing episodes as were seen have a probability of 2.5 %."""
    found = sameness(episodes, differing)
    assert stats.binom.cdf(differing, episodes, found.upper) == pytest.approx(0.025, abs=1e-9)


def test_under_five_percent_is_almost_nothing():
    """Two of a hundred differing episodes are almost nothing, five are not; all differing is bounded by one."""
    assert sameness(100, 2).almost_nothing
    assert not sameness(100, 5).almost_nothing
    assert sameness(10, 10).upper == 1.0


def test_a_wide_margin_makes_no_frequent_difference_almost_nothing():
    """Twenty of 320 are more than 5 %: they hold by no bound, even where it lies below a margin of 10 %."""
    assert sameness(320, 20).upper < 0.10
    assert not sameness(320, 20).holds(0.10)
    assert sameness(320, 2).holds(0.10)
    assert not sameness(40, 0).holds(0.05)


@pytest.mark.parametrize(
    ("differing", "decisions", "expected"), [(100, 160, 50), (20, 20, 400), (14, 5, None), (0, 0, 41), (8, 8, 88)]
)
def test_a_size_that_is_enough_has_200_differing_decisions_or_a_bound_that_holds(differing, decisions, expected):
    """Of 280 rollouts, 40 a task, frequent differences need 200 decisions, and rare ones a bound below the margin."""
    assert sameness(280, differing, 0.00625).enough(decisions, 40, 0.05, 1000) == expected


def test_impossible_counts_are_refused():
    """More differing than compared episodes, or none compared, is an error."""
    for counts in ((10, 11), (0, 0), (10, -1)):
        with pytest.raises(ValueError, match="cannot differ"):
            sameness(*counts)
