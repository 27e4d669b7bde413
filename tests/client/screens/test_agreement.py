"""The votes of a screen: where they disagree, that is said; where rollouts do not earn, nothing is proposed."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope.screens.agreement import disagreement, proposals
from attnscope.screens.board import ordered, rows
from attnscope.screens.sentences import screen_sentences
from screens import arm_of, screen_of

RULES = ("recency", "uniform", "random", "sinks", "tova")
TASK = np.repeat(np.arange(8), 4)


def screened(departs, retained, *, signed=None, earned=1):
    """Return a screen of five rules at 25 %, with these mean departures and retained attention."""
    arms = [arm_of(place, rule, 0.25) for place, rule in enumerate(RULES)]
    departure = np.broadcast_to(np.array(departs)[:, None], (len(TASK), len(RULES), 4))
    more = {"screen__retained": np.broadcast_to(np.array(retained, np.float32)[:, None], departure.shape)}
    if signed is not None:
        more["screen__signed"] = np.broadcast_to(np.array(signed, np.float32)[:, None], departure.shape)
    return screen_of(arms, departure, TASK, earned=earned, **more)


def test_votes_that_agree_are_not_mentioned():
    """The three first rules are the same by every vote."""
    found = screened((0.1, 0.2, 0.3, 0.4, 0.5), (0.9, 0.8, 0.7, 0.2, 0.1))
    assert proposals(found)[0.25]["departure"] == ("recency", "uniform", "random")
    assert disagreement(found) == []


def test_votes_that_disagree_are_named():
    """The sentence says how many are common, and what each vote proposes."""
    found = screened((0.1, 0.2, 0.3, 0.4, 0.5), (0.1, 0.2, 0.7, 0.8, 0.9))
    (sentence,) = disagreement(found)
    assert "1 of 3 in common" in sentence
    assert "departure: recency, uniform, random" in sentence
    assert "retained attention: tova, sinks, random" in sentence
    assert sentence in screen_sentences(found)


def test_equal_arms_vote_once():
    """Two rules that kept and decided the same everywhere are one proposal."""
    arms = [arm_of(place, rule, 0.25) for place, rule in enumerate(RULES)]
    departure = np.broadcast_to(np.array((0.1, 0.1, 0.3, 0.4, 0.5))[:, None], (len(TASK), len(RULES), 4))
    assert proposals(screen_of(arms, departure, TASK))[0.25]["departure"] == ("recency", "random", "sinks")


@pytest.mark.parametrize(("share", "orders"), [(0.75, False), (0.875, True)])
def test_a_policy_that_has_not_found_its_goal_gets_no_order(share, orders):
    """Under 80 % of rollouts that earn there is no proposal, and tables stay in the order of the arms."""
    earned = np.arange(len(TASK)) < share * len(TASK)
    found = screened((0.5, 0.4, 0.3, 0.2, 0.1), (0.1, 0.2, 0.7, 0.8, 0.9), earned=earned)
    assert bool(proposals(found)) == orders
    assert any("no order is claimed" in sentence for sentence in screen_sentences(found)) != orders
    names = [row.name for row in ordered(rows(found), oracles=False, ranks=found.orders)]
    assert names == (list(reversed(RULES)) if orders else list(RULES))


def positioned(departs, signed):
    """Return a screen of one rule at two budgets and two positions."""
    arms = [
        arm_of(place, "recency", budget, positions=stands)
        for place, (budget, stands) in enumerate([(10, "keep"), (10, "reindex"), (20, "keep"), (20, "reindex")])
    ]
    shape = (len(TASK), len(arms), 4)
    departure, loss = (np.broadcast_to(np.array(values, np.float32)[:, None], shape) for values in (departs, signed))
    return screen_of(arms, departure, TASK, earned=1, screen__signed=loss)


def test_a_screen_whose_votes_turn_within_a_rule_is_doubted():
    """If arms that depart more have less signed loss, the reader is told that departing may help."""
    turned = " ".join(screen_sentences(positioned((0.1, 0.2, 0.3, 0.4), (0.4, 0.3, 0.2, 0.1))))
    assert "this policy may gain by departing" in turned
    assert "rank correlation -1.00" in turned
    agreeing = " ".join(screen_sentences(positioned((0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.3, 0.4))))
    assert "may gain" not in agreeing
    assert "hardly" not in agreeing


def test_a_screen_whose_arms_hardly_depart_is_doubted():
    """At fewer than one action in a hundred a few decisions make the order."""
    sentences = " ".join(screen_sentences(positioned((0.001, 0.002, 0.004, 0.2), (0.1, 0.2, 0.3, 0.4))))
    assert "75% of the arms depart at fewer than one live decision in 100" in sentences
