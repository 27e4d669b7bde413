"""Departures by age: means over live decisions, shares that add up, and bands in which attention misleads."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope.figures.screens.ages import NOTHING, departure_by_age
from attnscope.figures.screens.guide import guide
from attnscope.screens.ages import ages_of
from attnscope.screens.sentences import screen_sentences
from canvas import faults
from screens import arm_of, screen_of

BANDS = ((1, 1), (2, 3), (4, 8), (9, 20))
TASK = np.repeat(np.arange(8), 4)
WIDTH = np.array([1, 2, 5, 12])


def screened(departs, attends=None, *, bands=BANDS, seed=0, episodes=(0.3, 0.1, 0.05), name=""):
    """Return a screen whose departures and attention by age are these, but for the noise of rollouts."""
    random = np.random.default_rng(seed)
    shape = len(TASK), len(bands), 6
    noise = random.lognormal(sigma=0.1, size=(2, *shape))
    more = {
        "ages__departure": (np.array(departs)[:, None] * noise[0]).astype(np.float32),
        "ages__single": (np.array(departs)[:, None] / 4 * noise[0]).astype(np.float32),
        "ages__width": np.broadcast_to(np.array([last - first + 1 for first, last in bands])[:, None], shape),
        "episodes__departure": np.broadcast_to(np.array(episodes)[:, None], (len(TASK), len(episodes), 6)),
    }
    if attends is not None:
        more["ages__attention"] = (np.array(attends)[:, None] * noise[1]).astype(np.float32)
    arms = [arm_of(0, "recency", 10), arm_of(1, "recency", 0.4, positions="keep")]
    departure = random.random((len(TASK), 2, 6)) / 5
    return screen_of(arms, departure, TASK, transitions=20, bands=bands, name=name, **more)


def test_a_band_that_attention_overlooks_is_marked():
    """Seen as much as used is no mark; four times as much either way is one; a small band is not judged."""
    found = screened((0.4, 0.2, 0.1, 0.001), (0.1, 0.2, 0.4, 0.01))
    assert ages_of(found).misleads == ("used, hardly seen", None, "seen, hardly used", None)
    assert screen_sentences(found)[-2:] == [
        "attention misleads at ages 1: used, hardly seen",
        "attention misleads at ages 4 to 8: seen, hardly used",
    ]


def test_shares_add_up():
    """Attention, departures and leave-one-out are shares of their sums; leave-one-out counts every transition."""
    ages = ages_of(screened((0.4, 0.2, 0.1, 0.1), (0.1, 0.2, 0.3, 0.4)))
    for found in (ages.seen, ages.used, ages.used_singly):
        assert found.value.sum() == pytest.approx(1)
        assert (found.low <= found.value).all()
        assert (found.high >= found.value).all()
    weight = np.array((0.4, 0.2, 0.1, 0.1)) * WIDTH
    assert ages.used_singly.value == pytest.approx(weight / weight.sum(), rel=0.1)


def test_what_is_not_there_is_left_out_of_means_and_0_in_shares():
    """A band that half of the decisions do not reach keeps its mean departure and has half the share."""
    found = screened((0.2, 0.2, 0.2, 0.2))
    half = found.arrays["ages/departure"].copy()
    half[:, 3, ::2] = np.nan
    ages = ages_of(type(found)(**(vars(found) | {"arrays": found.arrays | {"ages/departure": half}})))
    assert ages.departure.value[3] == pytest.approx(0.2, rel=0.1)
    assert ages.used.value[3] == pytest.approx(ages.used.value[0] / 2, rel=0.1)


def test_decisions_that_are_not_live_do_not_count():
    """No reward can follow them, so what they would do is nobody's loss."""
    found = screened((0.2, 0.2, 0.2, 0.2))
    live = np.ones((len(TASK), 6), np.int64)
    live[:, 0] = 0
    loud = found.arrays["ages/departure"].copy()
    loud[:, 0, 0] = 1
    arrays = found.arrays | {"ages/departure": loud, "decision/live": live}
    assert ages_of(type(found)(**(vars(found) | {"arrays": arrays}))).departure.value[0] == pytest.approx(0.2, rel=0.1)


def test_without_attention_nothing_misleads():
    """A capture without rows has departures by age all the same."""
    ages = ages_of(screened((0.4, 0.2, 0.1, 0.1)))
    assert ages.seen is None
    assert set(ages.misleads) == {None}
    assert ages.departure.value == pytest.approx((0.4, 0.2, 0.1, 0.1), rel=0.1)


def test_a_screen_without_ages_says_so():
    """The figures name the option that gives them."""
    found = screen_of([arm_of(0, "recency", 10)], np.full((32, 1, 4), 0.1), TASK)
    assert ages_of(found) is None
    for draw in (departure_by_age, guide):
        texts = [text.get_text() for axes in draw(found).axes for text in axes.texts]
        assert "".join(texts).replace("\n", " ") == NOTHING


LONG = tuple((1 + 60 * place, 60 * (place + 1)) for place in range(20))


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("bands", [BANDS, LONG])
def test_nothing_leaves_the_canvas(bands, attention):
    """Small and large, with marks and without."""
    rising = np.linspace(0.01, 0.3, len(bands))
    episodes = np.linspace(0.3, 0.01, 12 if bands is LONG else 2)
    found = screened(
        rising, rising[::-1] if attention else None, bands=bands, episodes=episodes,
        name="AD-absolute-darkroom-reference-seed0@6000",
    )  # fmt: skip
    for draw in (departure_by_age, guide):
        assert faults(draw(found)) == []
