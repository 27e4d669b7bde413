"""Decisions without one part of the history: a planted dependence is found, and what is nothing's part says so."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope_model.compression import Compression, default_positions
from attnscope_model.strategies import strategy
from attnscope_server.screening import screen
from attnscope_server.screening.bands import bands_of, episodes_back, episodes_touched
from forwards.layouts import LAYOUTS
from planted import Planted, planted_policy

BACK = 3
EPISODE = 7


@pytest.fixture(scope="module")
def found(histories_of):
    """Return a planted policy's history, and its screen with parts by age; the policy reads the third newest alone."""
    policy = planted_policy(Planted(BACK, reads="action"))
    histories = histories_of(policy, steps=50)
    return histories, screen(policy, histories, [Compression(strategy("none"))], decisions=150, ages=True)


def test_bands_cover_every_age_once():
    """Bands follow each other from the newest transition to the oldest that a context holds."""
    for transitions in (1, 2, 5, 31, 159):
        bands = bands_of(transitions)
        assert [age for first, last in bands for age in range(first, last + 1)] == list(range(1, transitions + 1))
    assert len(bands_of(159)) < 16


def test_the_age_that_a_policy_reads_is_found(found):
    """Only decisions without the third newest transition depart, whether its band or it alone is left out."""
    _, screened = found
    bands, arrays = screened.plan.ages.bands, screened.arrays
    at = bands.index((BACK, BACK))
    for name in ("ages/departure", "ages/single"):
        mean = np.nanmean(arrays[name], axis=(0, 2))
        assert mean[at] > 0.3
        assert np.delete(mean, at).max() < 0.02


def test_the_episode_that_a_policy_reads_is_found(found):
    """Without the episode that holds the third newest transition the policy departs, without any other it does not."""
    histories, screened = found
    departure = screened.arrays["episodes/departure"]
    step = screened.arrays["decision/step"]
    reads = np.maximum(step - BACK, 0) // EPISODE
    for back in range(departure.shape[1]):
        mine = (step >= BACK) & (step // EPISODE - reads == back)
        there = ~np.isnan(departure[:, back])
        assert not mine.any() or np.mean(departure[:, back][mine]) > 0.3
        assert not (there & ~mine).any() or np.max(departure[:, back][there & ~mine]) < 0.05
    assert departure.shape[1] == episodes_touched(histories.ended, 31) == 6
    assert episodes_back(31, EPISODE) == 6


def test_parts_that_are_not_there_have_no_number(found):
    """A band older than the window has none, and its width is 0; widths add up to what is held."""
    _, screened = found
    arrays = screened.arrays
    assert (np.isnan(arrays["ages/departure"]) == (arrays["ages/width"] == 0)).all()
    assert (arrays["ages/width"].sum(axis=1) == arrays["decision/held"]).all()
    attention = arrays["ages/attention"].sum(axis=1)
    assert (attention <= 1 + 1e-5).all()
    assert (attention[arrays["decision/held"] == 0] == 0).all()


@pytest.mark.parametrize("name", [*LAYOUTS, "native-learned-absolute", "native-rotary", "native-alibi"])
def test_without_the_oldest_band_only_the_newest_are_left(policies, histories_of, name):
    """Of every family: it is what recency keeps, standing at the same place, so the two departures are one."""
    policy = policies[name]
    full = policy.description.transitions
    histories = histories_of(policy, steps=full + 6, rollouts=2)
    arm = Compression(strategy("recency"), bands_of(full)[-1][0] - 1, default_positions(policy.description))
    arrays = screen(policy, histories, [arm], decisions=2 * histories.steps, ages=True).arrays
    whole = arrays["decision/held"] == full * policy.description.tokens_per_transition
    assert whole.sum() == 2 * 6
    assert arrays["ages/departure"][:, -1][whole] == pytest.approx(arrays["screen/departure"][:, 0][whole], abs=1e-6)
    assert (np.isnan(arrays["ages/single"]) == (arrays["ages/width"] == 0)).all()


def test_single_transitions_do_not_depend_on_the_blocks(policies, histories_of, monkeypatch):
    """Each rollout draws its own, so a screen that is cut otherwise leaves out the same."""
    policy = policies["native-rotary"]
    histories, arms = histories_of(policy), [Compression(strategy("none"))]
    one = screen(policy, histories, arms, decisions=60, ages=True).arrays
    monkeypatch.setattr("attnscope_server.screening.resolving.BLOCK_DECISIONS", 1)
    apart = screen(policy, histories, arms, decisions=60, ages=True).arrays
    for name in ("ages/departure", "ages/single", "episodes/departure"):
        assert one[name] == pytest.approx(apart[name], abs=1e-5, nan_ok=True)
