"""Plans: their bounds spend the stated error and no more."""

import numpy as np
import pytest
from scipy import stats

from attnscope_server.deciding.statistics.crossing import crossing
from attnscope_server.deciding.statistics.estimates import student_quantile
from attnscope_server.deciding.statistics.look_plans import ERROR, Reach, seeds_plan, tasks_plan

PLANS = {
    "8 tasks": seeds_plan(8),
    "8 tasks, 20 seeds at most": seeds_plan(8, at_most=20),
    "8 tasks, extendable": seeds_plan(8, extendable=True),
    "16 tasks": seeds_plan(16),
    "12 tasks, extendable": seeds_plan(12, extendable=True),
    "one task": seeds_plan(1),
    "beyond, 64 tasks": tasks_plan(64),
    "beyond, 16 tasks": tasks_plan(16),
}


def error(fractions, bounds):
    """Probability that a z value crosses at any look, from the joint normal distribution."""
    at = np.asarray(fractions)
    correlation = np.sqrt(np.minimum.outer(at, at) / np.maximum.outer(at, at))
    return 1 - stats.multivariate_normal(cov=correlation, abseps=1e-6, maxpts=1_000_000, seed=1).cdf(bounds)


@pytest.mark.parametrize("name", PLANS)
def test_no_plan_spends_more_than_its_error(name):
    """Both sides of every plan cross with at most 2.5 % at the margin, by the joint normal distribution."""
    plan = PLANS[name]
    bounds = [look.safe for look in plan.looks]
    assert error(plan.fractions, bounds) == pytest.approx(ERROR, abs=1e-4)
    assert error(plan.fractions, plan.harm) == pytest.approx(ERROR, abs=1e-4)
    assert crossing(plan.fractions, plan.safe).safe.sum() <= ERROR + 1e-9


def test_bounds_of_four_doubling_looks():
    """O'Brien and Fleming's bounds fall with the root of information; Pocock's is one for all looks."""
    plan = PLANS["8 tasks"]
    assert [round(look.safe, 2) for look in plan.looks] == [5.59, 3.96, 2.80, 1.98]
    assert {round(look.harm, 2) for look in plan.looks} == {2.41}
    assert [look.seeds for look in plan.looks] == [5, 10, 20, 40]


@pytest.mark.parametrize(("tasks", "seeds"), [(9, [5, 9, 18, 36]), (12, [4, 7, 14, 27]), (16, [3, 5, 10, 20])])
def test_more_tasks_have_fewer_seeds_each(tasks, seeds):
    """A look at more than 8 tasks has as many rollouts as one at 8, and the second look may call an arm safe."""
    plan = seeds_plan(tasks)
    assert [look.seeds for look in plan.looks] == seeds
    assert all(0 <= tasks * look.seeds - 8 * n < tasks for look, n in zip(plan.looks, (5, 10, 20, 40), strict=True))
    assert [look.may_be_safe for look in plan.looks] == [False, True, True, True]


def test_rounded_bounds_spend_slightly_more():
    """The usual rounding to 5.58, 3.94, 2.79, 1.97 and 2.40 spends 2.55 % a side, the derived bounds 2.5 %."""
    at = PLANS["8 tasks"].fractions
    assert crossing(at, [5.58, 3.94, 2.79, 1.97]).safe.sum() == pytest.approx(0.02545, abs=2e-5)
    assert crossing(at, [2.40] * 4).safe.sum() == pytest.approx(0.02555, abs=2e-5)


def test_an_extendable_plan_pays_for_its_looks():
    """Half of the error is spent by 40 seeds, and the harm side has a bound for seven looks: 2.40 would spend 4.2 %."""
    plan = PLANS["8 tasks, extendable"]
    assert [round(look.safe, 2) for look in plan.looks] == [6.37, 4.50, 3.18, 2.25, 2.36, 2.57, 2.60]
    assert crossing(plan.fractions, plan.safe).safe[:4].sum() == pytest.approx(ERROR / 2, abs=1e-6)
    assert crossing(plan.fractions, [2.40] * 7).safe.sum() == pytest.approx(0.0418, abs=1e-4)
    assert plan.looks[0].harm == pytest.approx(2.60, abs=0.005)


def test_students_tails_at_the_first_looks():
    """The Student quantile of a bound has the same tail as its z value."""
    assert student_quantile(2.79, np.array([7.0, 32, 72])) == pytest.approx([3.99, 2.99, 2.88], abs=0.005)
    assert stats.t.sf(student_quantile(3.94, np.array(7.0)), 7) == pytest.approx(stats.norm.sf(3.94), rel=1e-9)


def test_few_seeds_may_only_call_harm():
    """Nothing is safe at 5 seeds, nor below 72 rollouts: on one task below 80 seeds, on four below 20."""
    assert [look.seeds for look in PLANS["8 tasks"].looks if not look.may_be_safe] == [5]
    assert [look.seeds for look in PLANS["one task"].looks if not look.may_be_safe] == [20, 40]
    assert [look.seeds for look in seeds_plan(4).looks if not look.may_be_safe] == [5, 10]
    assert pytest.approx(0.025, abs=1e-3) == 0.95**72


def test_a_claim_beyond_needs_tasks():
    """Looks beyond named tasks add tasks with 5 seeds each, and 15 tasks are too few."""
    plan = PLANS["beyond, 64 tasks"]
    assert plan.reach is Reach.BEYOND
    assert [(look.tasks, look.seeds) for look in plan.looks] == [(8, 5), (16, 5), (32, 5), (64, 5)]
    with pytest.raises(ValueError, match="at least 16 unused tasks"):
        tasks_plan(15)
    with pytest.raises(ValueError, match="first look has 5 seeds"):
        seeds_plan(8, at_most=4)
