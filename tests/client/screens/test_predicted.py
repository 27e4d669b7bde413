"""Predicted costs: where they may be shown, what they rest on, and that the committed curve rises."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope.screens.board import rows
from attnscope.screens.predicted import applies, curve, predicted_cost
from attnscope.screens.sentences import screen_sentences
from screens import arm_of, screen_of

TASK = np.repeat(np.arange(8), 4)
REACH = dict.fromkeys(range(8), (1.0, 11.0))
"""Returns of uniform and of optimal actions."""


def screened(late, *, earned=1, reach=REACH):
    """Return a screen of a policy whose late episodes return so much."""
    arms = [arm_of(place, "recency", budget) for place, budget in enumerate((0.1, 0.4))]
    departure = np.broadcast_to(np.array([0.2, 0.05])[:, None], (len(TASK), 2, 4))
    return screen_of(arms, departure, TASK, earned=earned, reach=reach, rollout__late_return=np.full(len(TASK), late))


def test_near_its_ceiling_a_cost_stands_in_the_table_with_its_error():
    """The gain counts over uniform actions; the sentence says policies, error, and that it is no verdict."""
    found = screened(10.0)
    assert found.attained == pytest.approx(0.9)
    most, least = (row.predicted_cost for row in rows(found))
    assert (most, least) == pytest.approx((predicted_cost(2.0), predicted_cost(0.5)), rel=1e-5)
    assert most > least > 0
    (sentence,) = [one for one in screen_sentences(found) if "predicted_cost" in one]
    assert f"off by up to {curve().error:.2f}" in sentence
    assert "no verdict" in sentence


@pytest.mark.parametrize(
    "found",
    [screened(8.0), screened(10.0, earned=np.arange(len(TASK)) < 20), screened(10.0, reach={0: (1.0, 11.0)})],
    ids=["far-from-its-ceiling", "does-not-earn", "unknown-returns"],
)
def test_elsewhere_there_is_none(found):
    """A weak policy may gain by departing; of an unknown ceiling nothing is said."""
    assert not applies(found)
    assert {row.predicted_cost for row in rows(found)} == {None}
    assert not any("predicted_cost" in sentence for sentence in screen_sentences(found))


def test_a_store_of_an_older_version_has_none():
    """It holds no late returns."""
    arms = [arm_of(0, "recency", 0.1)]
    found = screen_of(arms, np.full((len(TASK), 1, 4), 0.1), TASK, reach=REACH)
    assert found.attained is None
    assert not applies(found)


def test_the_committed_curve_rises_and_names_what_it_rests_on():
    """Costs rise with departures; each of the three policies has an error when the others predict it."""
    found = curve()
    assert (np.diff(found.departures) > 0).all()
    assert (np.diff(found.cost) >= 0).all()
    assert len(found.policies) == 3
    assert 0 < found.error < 0.2
    assert found.command == "python -m benchmarks.departures"
