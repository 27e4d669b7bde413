"""Conditional power and the sizes that would decide, against simulated continuations."""

import dataclasses

import numpy as np
import pytest
from benchmarks.calibration.worlds import World

from attnscope_server.deciding.statistics.estimates import Estimate, difference
from attnscope_server.deciding.statistics.look_plans import Reach, seeds_plan, tasks_plan
from attnscope_server.deciding.statistics.power import conditional_power, is_futile, size_needed

PLAN = seeds_plan(8)


def at(score):
    """Return an estimate with a given score and many degrees of freedom."""
    return Estimate(np.array(score * 2.0), np.array(2.0), np.array(1e7), np.array(0.0))


def test_conditional_power_agrees_with_simulated_continuations():
    """From the second look on, walks with the assumed drift cross a later bound as often as is said."""
    score, ends, looks = 1.1, 0.6, PLAN.looks
    drift = (score + ends) / np.sqrt(looks[1].fraction)
    steps = np.diff([x.fraction for x in looks[1:]])
    noise = np.random.default_rng(1).standard_normal((100_000, 2)) * np.sqrt(steps) + drift * steps
    z = (score * np.sqrt(looks[1].fraction) + noise.cumsum(1)) / np.sqrt(PLAN.fractions[2:])
    crossed = (z > np.array(PLAN.safe[2:])).any(1).mean()
    assert conditional_power(at(score), PLAN, 2, ends) == pytest.approx(crossed, abs=0.006)


def test_futility_needs_ten_seeds_and_a_bad_interval():
    """At 5 seeds nothing is futile; at 20 a score far below the margin is, one near it is not."""
    assert not is_futile(at(-4.0), PLAN, 1)
    assert is_futile(at(-2.0), PLAN, 3)
    assert not is_futile(at(0.5), PLAN, 3)
    assert not is_futile(at(np.nan), PLAN, 3)
    assert not is_futile(at(-4.0), tasks_plan(64), 1)
    assert is_futile(at(-3.0), tasks_plan(64), 2)


def test_futility_seldom_ends_a_good_arm():
    """An arm that keeps 98 % is stopped as futile at 10 seeds in under three cases of a hundred."""
    drawn = World(0.98).draw(np.random.default_rng(2), 200, 8, 10, Reach.THESE)
    tested = difference(drawn, 0.05, Reach.THESE)
    fields = [f.name for f in dataclasses.fields(Estimate)]
    each = [Estimate(*(np.asarray(getattr(tested, f)[i]) for f in fields)) for i in range(200)]
    assert sum(is_futile(x, PLAN, 2) for x in each) <= 5


def test_sizes_at_both_ends_of_the_interval():
    """At the size that is named, a single test has the promised power of 80 % if the truth is that end."""
    found = size_needed(at(1.8), PLAN, 3)
    assert found.if_near is not None
    assert found.if_far is not None
    assert found.if_near < found.if_far
    for size, end in ((found.if_near, 1.8 + 1.2816), (found.if_far, 1.8 - 1.2816)):
        z = np.random.default_rng(3).standard_normal(100_000) + end * np.sqrt(size / PLAN.looks[2].seeds)
        assert (z > PLAN.looks[-1].safe).mean() == pytest.approx(0.8, abs=0.02)


def test_an_interval_over_the_margin_has_no_far_size():
    """If the far end lies at the margin or beyond it, no size decides for it."""
    assert size_needed(at(0.5), PLAN, 2).if_far is None
    assert size_needed(at(-3.0), PLAN, 2).if_far is not None
    assert size_needed(at(np.nan), PLAN, 2).if_near is None
    assert conditional_power(at(1.9), PLAN, 4) == 0
