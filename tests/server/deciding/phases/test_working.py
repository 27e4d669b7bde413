"""The work of a decision: random returns that nobody knows, arms that are the same, rollouts that are paired."""

import numpy as np

from attnscope_model.compression import Compression
from attnscope_model.strategies import strategy
from attnscope_server.deciding.phases.rollouts import axis_of
from attnscope_server.deciding.phases.working import UNIFORM_ROLLOUTS

SMALL = {"episodes": 3, "budgets": [8], "positions": ["reindex"], "screened": 64}
NEAR = {"tasks": {"goals": [[4, 5], [5, 4], [3, 4], [4, 3]]}, "screening": {"goals": [[3, 3], [5, 5], [3, 5], [5, 3]]}}


def test_an_unknown_random_return_is_rolled_out(asked, work):
    """Uniform actions give the declared return of each task within four standard errors, and their error is kept."""
    spec, resolved = asked(**SMALL, **NEAR)
    hidden = tuple(cell.model_copy(update={"random_return": None}) for cell in resolved.screening_tasks)
    worker = work(spec, resolved.model_copy(update={"screening_tasks": hidden}))
    worker.answer()
    assert worker.record.random_rollouts == 4 * UNIFORM_ROLLOUTS
    for cell in resolved.screening_tasks:
        mean, error = worker.record.random[cell.index]
        assert 0 < error < 1
        assert abs(mean - cell.random_return) < 4 * error


def test_a_known_random_return_costs_nothing(asked, work):
    """Where the preset declares it, no uniform action is taken."""
    worker = work(*asked(**SMALL, **NEAR))
    worker.answer()
    assert (worker.record.random, worker.record.random_rollouts) == ({}, 0)
    assert worker.record.driver.rollouts == 32


def test_arms_that_are_the_same_everywhere_race_once(asked, work):
    """Screened from its histories captured again, the decision merges equal arms and keeps blind ones."""
    worker = work(*asked(**SMALL, **NEAR))
    worker.answer()
    resumed = work(*asked(**SMALL, **NEAR))
    resumed.record = worker.record
    worker.answer()
    resumed.answer()
    assert resumed.record == worker.record
    arms = worker.record.arms
    assert arms[0].strategy == "recency"
    assert arms[0].departure < 1e-5  # the reward one step back is among the newest 8
    assert sum(arm.departure < 1e-5 for arm in arms) < len(arms)
    assert {arm.strategy for arm in arms} >= {"recency", "random"}  # uniform may decide as recency everywhere
    assert len({arm.name for arm in arms}) == len(arms)


def test_rollouts_are_paired(asked, work):
    """An arm that keeps what the policy reads acts as its twin at every step; one that does not departs."""
    worker = work(*asked(**SMALL, **NEAR))
    stage = worker._stage
    axis = axis_of([cell.index for cell in worker._resolved.tasks], 5, 8)
    twin = stage.uncompressed(axis)
    newest, oldest = stage.compressed([Compression(strategy("recency"), 8), Compression(strategy("random"), 1)], axis)
    assert np.array_equal(newest.action, twin.action)
    assert np.array_equal(newest.returns, twin.returns)
    assert (oldest.action != twin.action).any()
