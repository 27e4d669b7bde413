"""Figures of screens: no text off the canvas, no equal ticks, dips named, and no order where none holds."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope.figures.screens.map import screen_map
from attnscope.figures.screens.tokens import departure_by_tokens
from canvas import faults
from screens import arm_of, screen_of

TASK = np.repeat(np.arange(8), 4)
NAME = "AD-absolute-darkroom-reference-seed0@6000"
RULES = ("recency", "sinks", "uniform", "random", "decay", "episodes", "merging", "rewards", "dedup", "anchored")
LONG = {"inner": {"name": "h2o", "recent": 0.25}, "first_rewarded": True}
"""Parameters of the last rule, which make its name long."""

SMALL = (("recency", "uniform"), (10, 0.4), ("reindex",))
LARGE = (RULES, (0.1, 0.25, 0.4, 0.6, 38, 39, 40), ("reindex", "keep"))


def screened(rules, budgets, positions, *, earned=1, oracles=True):
    """Return a screen of every rule, budget and way to stand, each second rule an oracle; 39 transitions are a dip."""
    asked = [(rule, budget, stands) for rule in rules for budget in budgets for stands in positions]
    arms = [
        arm_of(
            place,
            rule,
            budget,
            positions=stands,
            parameters=LONG if rule == "anchored" else {},
            oracle=oracles and rules.index(rule) % 2 == 1,
        )
        for place, (rule, budget, stands) in enumerate(asked)
    ]
    height = [0.05 if budget == 39 else 0.3 - 0.01 * rules.index(rule) for rule, budget, _ in asked]
    departure = np.broadcast_to(np.array(height)[:, None], (len(TASK), len(arms), 3))
    return screen_of(arms, departure, TASK, earned=earned, name=NAME)


def texts(figure):
    """Return what is written on a figure's axes."""
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("asked", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("draw", [screen_map, departure_by_tokens])
def test_nothing_leaves_the_canvas(asked, draw):
    """A few arms, and many with a long name."""
    assert faults(draw(screened(*asked))) == []


def test_a_dip_is_named_where_it_is():
    """The line of every panel says at which count."""
    drawn = departure_by_tokens(screened(*LARGE, oracles=False))
    assert set(texts(drawn)) == {"dip at 39"}


@pytest.mark.parametrize(("earned", "first"), [(1, "uniform"), (0, "recency")])
def test_a_map_orders_rules_only_where_rollouts_earn(earned, first):
    """Uniform departs less; a policy that earns nowhere keeps the order of its arms."""
    drawn = screen_map(screened(*SMALL, earned=earned, oracles=False))
    assert drawn.axes[0].get_yticklabels()[0].get_text() == first
