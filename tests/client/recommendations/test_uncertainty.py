"""Intervals of strategies, simulated with the code that advice uses: they hold the error of sampled decisions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from attnscope.measures.intervals import Resampling
from attnscope.reading.judging import JudgedRows, judge_evenly, judge_rows
from attnscope.reading.plan import Size, plan
from attnscope.recommendations.attention.evaluation import Outcome
from attnscope.recommendations.attention.uncertainty import Intervals

STEPS, ROLLOUTS, MANY, RUNS = 600, 12, 60, 120
NUMBERS = ("retained", "lift", "excess", "skill")


def outcome(judged: JudgedRows, masses: np.ndarray) -> Outcome:
    """Return what is kept where masses [kept, evenly, most] of every step are known, as far as steps are judged."""
    kept, evenly, most = masses[:, judged.entry]
    nothing = np.zeros(kept.shape[1])
    return Outcome(judged, kept, evenly, most, nothing, nothing, nothing, nothing)


def masses(random: np.random.Generator, rollouts: int) -> np.ndarray:
    """Return masses of every step: attention drifts and sharpens, in all rollouts alike, and differs by rollout."""
    common = random.normal(size=(STEPS + 8, 1)).cumsum(axis=0)
    common = (common[8:] - common[:-8]) * 0.03 + np.linspace(0, 0.2, STEPS)[:, None]
    own = random.normal(0, 0.02, (STEPS, rollouts)) + random.normal(0, 0.03, (1, rollouts))
    evenly = 0.3 + 0.2 * common + 0 * own
    most = 0.8 + 0.1 * common + 0.1 * own
    return np.stack([0.6 + common + own, evenly, most])


def covered(run: int) -> tuple[list[bool], list[bool]]:
    """Return which intervals hold the value of every decision, with the error of sampled decisions and without."""
    random = np.random.default_rng(run)
    every = masses(random, ROLLOUTS + MANY)
    whole = Resampling(np.zeros(MANY, np.int64), samples=2)
    truth = Intervals(whole, judge_evenly(STEPS)).of(outcome(judge_evenly(STEPS), every[:, :, ROLLOUTS:]))
    judged = plan(Size(STEPS, ROLLOUTS, 144, 512), np.zeros(ROLLOUTS, np.int64), counted=200).judged
    assert judged.share < 0.1
    some = Resampling(np.zeros(ROLLOUTS, np.int64), samples=400, seed=run)
    got = outcome(judged, every[:, :, :ROLLOUTS])
    alone = dataclasses.replace(judged, share=1.0)
    held = [
        [one.low <= of.value <= one.high for one, of in zip(Intervals(some, way).of(got), truth, strict=True)]
        for way in (judged, alone)
    ]
    return held[0], held[1]


def test_intervals_of_strategies_hold_the_error_of_sampled_decisions():
    """A nominal 95 % interval holds the value of all decisions in 91 % of runs; rollouts alone in at most 75 %."""
    runs = np.array([covered(run) for run in range(RUNS)])
    whole, alone = runs.mean(axis=0)
    for name, held, short in zip(NUMBERS, whole, alone, strict=True):
        assert held >= 0.91, (name, held)
        assert short <= 0.75, (name, short)


def test_what_every_decision_gives_has_no_error_of_sampling():
    """If every row is judged, the interval is that of the rollouts alone."""
    every = masses(np.random.default_rng(0), ROLLOUTS)
    judged = judge_evenly(STEPS)
    resampling = Resampling(np.zeros(ROLLOUTS, np.int64))
    got = Intervals(resampling, judged).of(outcome(judged, every))
    alone = resampling.estimate(every[0].mean(axis=0), every[1].mean(axis=0))
    for name in ("value", "low", "high", "baseline"):
        assert getattr(got[0], name) == pytest.approx(getattr(alone, name)), name


def test_phases_count_by_their_steps_and_not_by_what_is_judged_of_them():
    """Four rows of the first quarter and two of the rest weigh a quarter and three quarters."""
    judged = judge_rows(np.array([1, 2, 4, 9, 50, 70]), [0, 25, 100])
    assert judged.weight == pytest.approx([1 / 16] * 4 + [3 / 8] * 2)
    assert judged.share == pytest.approx(0.06)
    values = np.array([1.0, 1, 1, 1, 3, 5])
    assert judged.mean(values) == pytest.approx(0.25 * 1 + 0.75 * 4)
    assert judged.residuals(values).sum() == pytest.approx(0)


def test_a_phase_with_one_judged_row_joins_another():
    """Its spread could not be told; the last one joins the one before."""
    assert judge_rows(np.array([1, 40, 60]), [0, 25, 100]).stratum.tolist() == [0, 0, 0]
    assert judge_rows(np.array([1, 2, 60]), [0, 25, 100]).stratum.tolist() == [0, 0, 0]
    assert judge_rows(np.array([1, 2, 60, 70]), [0, 25, 100]).stratum.tolist() == [0, 0, 1, 1]


def test_a_rollout_without_room_is_left_out_of_the_skill():
    """If no choice can gain anything, a rollout has no skill, and the others' interval stays."""
    every = masses(np.random.default_rng(0), ROLLOUTS)
    every[:, :, 0] = 0.5
    judged = plan(Size(STEPS, ROLLOUTS, 144, 512), np.zeros(ROLLOUTS, np.int64)).judged
    skill = Intervals(Resampling(np.zeros(ROLLOUTS, np.int64)), judged).of(outcome(judged, every))[3]
    assert skill.has_interval
    assert skill.rollouts == ROLLOUTS - 1
