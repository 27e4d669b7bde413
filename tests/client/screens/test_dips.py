"""Dips: a planted one is named with its depth, a smooth curve has none, and noise alone seldom makes one."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope.screens.dips import dips
from attnscope.screens.sentences import screen_sentences
from screens import arm_of, screen_of

TASKS, ROLLOUTS, DECISIONS = 8, 4, 16
COUNTS = tuple(range(30, 50))
TASK = np.repeat(np.arange(TASKS), ROLLOUTS)
SMOOTH = 0.4 * np.exp(-np.arange(len(COUNTS)) / 30)
"""Departures that fall slowly with the count."""


def screened(curve, noise=0.0, seed=0, counts=COUNTS, decisions=DECISIONS):
    """Return a screen of recency whose mean departures are a curve; rollouts differ, and every decision has noise."""
    random = np.random.default_rng(seed)
    shape = len(TASK), len(counts), decisions
    rollout = random.lognormal(sigma=0.3, size=(len(TASK), 1, 1))
    departure = np.asarray(curve)[None, :, None] * rollout * np.exp(noise * random.standard_normal(shape))
    arms = [arm_of(place, "recency", count) for place, count in enumerate(counts)]
    return screen_of(arms, departure.clip(0, 1), TASK)


def dipped(at, share):
    """Return the smooth curve with one count at a share of its height."""
    return SMOOTH * np.where(np.array(COUNTS) == at, share, 1)


def test_a_planted_dip_is_named_with_its_depth():
    """Half as many departures at 39 as at 38 and 40 are found under noise, and said."""
    found = screened(dipped(39, 0.5), noise=0.4)
    (dip,) = dips(found)
    assert dip.count == 39
    assert dip.depth == pytest.approx(0.5, abs=0.1)
    assert 0.1 < dip.low < dip.depth < dip.high
    assert any(
        "recency under reindex departs" in sentence and "39 transitions" in sentence
        for sentence in screen_sentences(found)
    )


def test_a_smooth_curve_has_none():
    """A curve that falls, a small dent, and a curve whose neighbours were not judged."""
    assert dips(screened(SMOOTH, noise=0.2)) == []
    assert dips(screened(dipped(39, 0.95))) == [], "a twentieth is too little, however sure"
    assert dips(screened(dipped(39, 0.1) / 200)) == [], "departures of one action in a thousand are nothing"
    assert dips(screened([0.4, 0.1, 0.4], counts=(30, 39, 48))) == []
    shares = [arm_of(place, "recency", budget) for place, budget in enumerate((0.1, 0.2, 0.3))]
    departure = np.broadcast_to(np.array([0.5, 0.1, 0.5])[:, None], (len(TASK), 3, DECISIONS))
    assert dips(screen_of(shares, departure, TASK)) == []


def test_a_step_is_no_dip():
    """A curve that falls at once and stays low has no way back up."""
    assert dips(screened(np.where(np.array(COUNTS) < 39, 0.4, 0.1), noise=0.3)) == []


def test_neighbours_two_away_count():
    """Counts that are judged every second transition are compared too, three apart they are not."""
    assert [dip.count for dip in dips(screened([0.4, 0.1, 0.4], counts=(37, 39, 41)))] == [39]
    assert dips(screened([0.4, 0.1, 0.4], counts=(36, 39, 42))) == []


def test_one_rollout_of_one_task_names_none():
    """Nothing can be resampled, so nothing is sure."""
    arms = [arm_of(place, "recency", count) for place, count in enumerate((38, 39, 40))]
    departure = np.array([[[0.5], [0.01], [0.5]]])
    assert dips(screen_of(arms, departure, [0])) == []


def test_noise_alone_seldom_makes_a_dip():
    """Of 200 curves whose truth is smooth or flat, at most a twentieth has any dip; a bare threshold names far more."""
    curves = [SMOOTH] * 100 + [np.full(len(COUNTS), 0.2)] * 100
    found = [screened(curve, noise=1.0, seed=seed, decisions=2) for seed, curve in enumerate(curves)]
    assert np.mean([bool(dips(one)) for one in found]) <= 0.05
    assert np.mean([_by_threshold(one.tv_live.value) for one in found]) > 0.25


def _by_threshold(mean):
    """Return whether any count lies a tenth below both its neighbours, however unsure that is."""
    return bool((mean[1:-1] < 0.9 * np.minimum(mean[:-2], mean[2:])).any())
