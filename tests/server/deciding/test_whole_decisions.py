"""Whole decisions on simulated policies: false answers, rollouts to an answer, intervals at the end, futility."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.calibration.boards import flat_board, read_board
from benchmarks.calibration.coverage import covered, futile, promised
from benchmarks.calibration.decisions import outcomes
from benchmarks.calibration.ladders import ends
from benchmarks.calibration.worlds import World

from attnscope_server.deciding.statistics.ladder import End
from attnscope_server.deciding.statistics.look_plans import seeds_plan, tasks_plan

THESE, BEYOND, EXTENDABLE = seeds_plan(8), tasks_plan(64), seeds_plan(8, extendable=True)


@pytest.mark.parametrize(("shape", "allowed"), [("normal", 0.03), ("skewed", 0.045)])
@pytest.mark.parametrize("plan", [BEYOND, EXTENDABLE], ids=["beyond", "extendable"])
def test_ladders_of_other_plans_keep_their_error(plan, shape, allowed):
    """Beyond the tasks, and where seeds may be added: false "safe" of three rungs, and false "do not compress"."""
    count = 400 if plan.extendable else 1_500
    noise = 2.5 * np.sqrt(0.025 * 0.975 / count)
    safe = ends([World(0.95, shape)] * 3, plan, count, seed=5)
    assert np.mean([climb.last_safe is not None for climb in safe]) <= allowed + noise
    harm = ends([World(0.95, shape), World(0.65, shape)], plan, count, seed=6)
    assert np.mean([climb.end is End.DO_NOT_COMPRESS for climb in harm]) <= 0.03 + noise


def test_whole_decisions_at_the_margin_seldom_say_something_false():
    """Race, ladder and looks by the driver, every arm at the margin: few compress, few say "do not compress"."""
    board = flat_board({80: 0.95, 40: 0.95}, rules=3)
    found = outcomes(board, 50, seed=1)
    assert found.false_safe <= 0.03 + 2.5 * np.sqrt(0.025 / 50)
    assert found.false_harm <= 0.03 + 2.5 * np.sqrt(0.025 / 50)
    assert found.kinds["undecided"] > 0.8


def test_an_answer_takes_a_fifth_of_the_former_grid():
    """On the first study's policies, in the mean, with baseline, gate and capture; key-to-door is not compressed."""
    boards = [read_board(name) for name in ("darkroom-absolute", "darkroom-rotary", "key-to-door")]
    found = [outcomes(board, 10, seed=2) for board in boards]
    shares = [one.rollouts / (board.grid + 40) for one, board in zip(found, boards, strict=True)]
    assert np.mean(shares) <= 0.2 + 0.03
    assert found[2].kinds == {"do not compress": 1.0}
    assert found[0].kinds["compress to"] > 0.6


@pytest.mark.parametrize("plan", [THESE, BEYOND], ids=["these", "beyond"])
@pytest.mark.parametrize("kept", [1.0, 0.95, 0.9])
def test_the_interval_at_a_tests_end_covers(plan, kept):
    """Early stopping counted, each end misses the truth in 2.5 % of tests at most, and points are median-unbiased."""
    found = covered(World(kept), plan, 1_000, seed=3, points=80)
    assert found.too_high <= 0.025 + 0.013
    assert found.too_low <= 0.025 + 0.013
    assert found.point_above == pytest.approx(0.5, abs=0.18)


def test_futility_ends_lost_tests_and_hardly_any_good_one():
    """An arm just below the margin is mostly ended early; one that keeps 98 % seldom, and loses little power by it."""
    lost = futile(World(0.94), THESE, 150, seed=4)
    good = futile(World(0.98), THESE, 150, seed=4)
    assert lost[0] > 0.5
    assert good[1] < 0.04


@pytest.mark.parametrize("kept", [0.98, 0.96])
def test_conditional_power_comes_true(kept):
    """Of tests open at the third look, as many are called non-inferior later as conditional power at the truth says."""
    said, came = promised(World(kept), THESE, 600, seed=5, number=3)
    assert came == pytest.approx(said, abs=0.07)
