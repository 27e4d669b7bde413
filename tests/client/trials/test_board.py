"""The table of every measure, on planted effects."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from attnscope.trials.board import board
from attnscope.trials.learning import running


@pytest.fixture(scope="module")
def made(trial):
    """Return the table."""
    return board(trial, samples=400)


def test_costs_are_those_that_were_planted(made):
    """Effective budget, operations, divergence and flips."""
    row = made.rows[4]
    assert row.share.value == pytest.approx(0.1)
    assert row.tokens == pytest.approx(4)
    assert row.bytes == 40 * 16 * 4
    assert row.flops_share < 0.2
    assert row.divergence is not None
    assert row.divergence.kl.value == pytest.approx(0.2, abs=0.01)
    assert 0.1 < row.divergence.flips.value < 0.3
    assert made.rows[0].flops_share == 1


def test_the_return_is_retained_as_planted(made):
    """Difference, ratio and the task-normalised mean tell the same loss on their own scales."""
    row = made.rows[2]
    assert row.verdict.kept.value == pytest.approx(0.6, abs=0.03)
    assert row.difference.value == pytest.approx(-0.4 * 4 * 0.82, abs=0.15)
    assert row.retained.value > row.verdict.kept.value
    assert row.iqm is not None
    assert row.iqm.value < row.iqm.baseline
    assert set(row.phases) == {"growing", "full", "late"}


def test_learning_is_slower_where_the_level_is_never_reached(made):
    """A condition that keeps 0.6 reaches half of the baseline's final return later, and nine tenths never."""
    half, _, most = made.rows[2].episodes_to
    assert half.episode >= half.baseline
    assert np.isnan(most.episode)
    assert most.high == np.inf
    assert [one.episode for one in made.rows[0].episodes_to] == [one.baseline for one in made.rows[0].episodes_to]


def test_a_rule_is_compared_with_as_many_evenly_spaced_tokens(made):
    """The excess over uniform at the same effective budget is the planted one; uniform's own is nothing."""
    tova = made.rows[4].over_uniform
    assert tova is not None
    assert tova.value == pytest.approx(0.4, abs=0.03)
    assert tova.low > 0.3
    uniform = made.rows[6].over_uniform
    assert uniform is not None
    assert (uniform.value, uniform.low, uniform.high) == (0, 0, 0)
    assert made.rows[0].over_uniform is None


def test_a_lost_task_is_named(plant):
    """The mean hides it; the table does not."""
    trial = plant([("none", None, 0.0), ("recency", 0.5, 0.0)], noise=0.05)
    trial.arrays["trial/return"][1, :, 3] = 1.2
    losses = board(trial, samples=100).rows[1].tasks
    assert (losses.worst, losses.lost) == (3, (3,))
    assert len(losses.succeeded) == 8


def test_speed_is_the_ratio_of_turns(made):
    """Each round's compressed decision is beside its uncompressed one."""
    speed = made.rows[1].speeds[-1]
    assert (speed.phase, speed.envs) == ("full", 64)
    assert speed.ratio == pytest.approx(1 / 0.6, rel=1e-3)
    assert speed.per_second == pytest.approx(64 / 0.6e-3, rel=1e-3)


def test_pairing_is_as_planted(made):
    """The correlation of paired rollouts is √ of the shared variance."""
    assert made.rows[1].pairing == pytest.approx(np.sqrt(0.8), abs=0.15)


def test_the_table_is_written_for_programs(made):
    """A line a condition as CSV, everything as JSON, nothing that JSON does not know."""
    lines = list(csv.DictReader(io.StringIO(made.csv())))
    assert len(lines) == 9
    assert float(lines[4]["kept"]) == pytest.approx(made.rows[4].verdict.kept.value)
    assert lines[2]["episodes_to_90"] == ""
    document = json.loads(made.json())
    assert document["conditions"][4]["verdict"]["word"] == "inferior"
    assert document["conditions"][2]["episodes_to"][2]["episode"] is None


def test_a_running_mean_is_of_what_came_before():
    """Ten episodes: a window of two, shorter at the beginning."""
    assert running(np.arange(10.0)).tolist() == [0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5]
