"""The arms that a decision races, and their order."""

from __future__ import annotations

from dataclasses import replace

from attnscope_model.compression import Compression
from attnscope_model.strategies import strategy
from attnscope_server.deciding.phases.proposing import Ballot, proposed

RULES = ("recency", "uniform", "random", "sinks", "rewards", "tova")


def ballots(*departures: float) -> list[Ballot]:
    """Return one ballot a rule, all votes of one mind, the blind baselines first."""
    return [
        Ballot(Compression(strategy(rule), 8, "keep"), "8", 8, value, 10 * value, signed=value, retained=1 - value)
        for rule, value in zip(RULES, departures, strict=True)
    ]


def names(arms) -> list[str]:
    """Return the rules of arms, in order."""
    return [arm.strategy for arm in arms]


def test_the_arms_that_the_votes_rank_first_stand_first():
    """Equal returns in a race fall to them; blind baselines race wherever they stand, rules without a vote do not."""
    found = proposed(ballots(0.4, 0.5, 0.6, 0.3, 0.2, 0.1), ["8"], ranks=True)
    assert names(found) == ["tova", "rewards", "sinks", "recency", "uniform", "random"]
    found = proposed(ballots(0.1, 0.5, 0.2, 0.3, 0.6, 0.4), ["8"], ranks=True)
    assert names(found) == ["recency", "random", "sinks", "uniform"]


def test_where_a_screen_ranks_nothing_the_list_stays():
    """Baselines and the rules of the guide keep the order in which they are listed."""
    found = names(proposed(ballots(0.4, 0.5, 0.6, 0.3, 0.2, 0.1), ["8"], ranks=False))
    assert found[:3] == ["recency", "uniform", "random"]
    assert found == sorted(found, key=RULES.index)


def test_an_arm_is_named_by_what_differs_from_its_rules_defaults():
    """A name that is cited has no parameter that its rule has by itself."""
    [ballot, *_] = ballots(0.4, 0.5, 0.6, 0.3, 0.2, 0.1)
    rules = [strategy("random"), strategy("random", seed=3), strategy("anchored", inner={"name": "h2o", "recent": 0.0})]
    made = [replace(ballot, setup=Compression(rule, 8, "keep")) for rule in rules]
    found = [arm.name for arm in proposed(made, ["8"], ranks=True)]
    assert found == ["random 8, keep", "random(seed=3) 8, keep", "anchored(inner=h2o(recent=0)) 8, keep"]
