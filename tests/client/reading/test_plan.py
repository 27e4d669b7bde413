"""The plan of a reading is bounded in bytes, whatever the policy's size."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from attnscope.reading.plan import LEAD, MOST_BYTES, Size, followed, plan, stratified


def tasks(count: int) -> np.ndarray:
    """Return a task for each environment."""
    return np.arange(count)


@pytest.mark.parametrize(
    ("cells", "slots", "envs", "steps"),
    [(12, 100, 8, 10_000), (16, 160, 8, 10_000), (144, 1024, 4, 300), (144, 1024, 64, 10_000), (576, 4096, 8, 1000)],
)
def test_a_plan_reads_at_most_its_bytes(cells, slots, envs, steps):
    """Also where one environment's rows weigh megabytes a step: then fewer environments are read, of other tasks."""
    size = Size(steps, envs, cells, slots)
    made = plan(size, tasks(envs), counted=slots if slots < steps else steps // 2, context=slots)
    assert made.bytes(size) <= max(2 * MOST_BYTES, 6 * (size.env_bytes + (LEAD + 1) * size.mean_bytes))
    assert len(made.parts) >= 4
    assert all(part.end - part.first <= LEAD + 1 and part.end <= steps for part in made.parts)
    assert all(a.end <= b.first for a, b in pairwise(made.parts))


def test_a_small_capture_is_read_whole():
    """Rows below the budget are all read, and each decision row is fresh once."""
    made = plan(Size(200, 2, 4, 12), tasks(2))
    assert made.whole
    assert [entry for part in made.parts for entry in range(part.fresh, part.end)] == list(range(200))


def test_full_reads_every_row_and_judges_every_decision():
    """Blocks cover each row once as fresh, the rows before it at hand, in bounded pieces."""
    made = plan(Size(10_000, 8, 16, 160), tasks(8), full=True)
    assert (made.whole, len(made.judged.entry), made.judged.share) == (True, 10_000, 1.0)
    assert [entry for part in made.parts for entry in range(part.fresh, part.end)] == list(range(10_000))
    assert all(part.fresh - part.first == min(part.fresh, LEAD) for part in made.parts)
    assert max(part.end - part.fresh for part in made.parts) * 8 * 2 * 16 * 160 <= 4 * 2**20


def test_bursts_lie_in_every_phase_and_few_in_the_growing_context():
    """Steps that count are cut into three phases with as many bursts each; of those before at most a quarter."""
    made = plan(Size(10_000, 8, 16, 160), tasks(8), counted=6000)
    strata = np.array([part.stratum for part in made.parts])
    assert (strata == 0).sum() <= 0.25 * len(strata)
    _, counts = np.unique(strata[strata > 0], return_counts=True)
    assert len(counts) == 3
    assert np.ptp(counts) <= 1
    assert len({part.end % 20 for part in made.parts}) > 3, "bursts fall on different steps of an episode"


def test_fewer_environments_are_of_different_tasks():
    """If 64 environments do not fit, those that are read are of as many tasks as there is room for."""
    made = plan(Size(10_000, 64, 144, 1024), np.repeat(np.arange(16), 4))
    assert len(made.envs) < 16
    assert len({env // 4 for env in made.envs}) == len(made.envs)


def test_stratified_steps_do_not_fall_on_one_place_of_the_episodes():
    """One from each stretch, in order, and at every place of a 20-step episode."""
    steps = stratified(10_000, 500)
    assert (steps // 20 == np.arange(500)).all()
    assert len(np.unique(steps % 20)) == 20
    assert stratified(5, 9).tolist() == [0, 1, 2, 3, 4]


def test_transitions_are_followed_over_bounded_bytes():
    """Four contexts' steps of a usual policy; of a long context as many as four megabytes hold."""
    assert followed(10_000, 160) == range(10_000 - 640, 10_000)
    assert len(followed(100_000, 8192)) * 8192 <= 4 * 2**20
