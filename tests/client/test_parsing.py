"""Options as people type them."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from attnscope.cli.app import app
from attnscope.cli.parsing import budgets, goals, pairs, strategies


@pytest.mark.parametrize(
    ("texts", "numbers"), [(["5,4"], ((5, 4),)), (["1,2,7,8", " 4, 3,2,1,0 "], ((1, 2, 7, 8), (4, 3, 2, 1, 0)))]
)
def test_goals_are_as_many_numbers_as_a_task_has(texts, numbers):
    """A cell, a key and a door, or a permutation."""
    assert goals(texts) == numbers


@pytest.mark.parametrize("text", ["5", "5,", "5,x", "5;4", "-1,2", ""])
def test_what_is_no_goal_is_refused(text):
    """Anything else is wrong usage."""
    with pytest.raises(typer.BadParameter, match="expected numbers"):
        goals([text])


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("recency", "recency", {}),
        ("sinks:sinks=8", "sinks", {"sinks": 8}),
        ('{"name": "sinks", "sinks": 8}', "sinks", {"sinks": 8}),
        ('anchored:oldest=true,inner={"name":"h2o"}', "anchored", {"oldest": True, "inner": {"name": "h2o"}}),
    ],
)
def test_strategies_are_names_or_json(text, name, parameters):
    """A name, a name with parameters, or the JSON that a recommendation prints."""
    (found,) = strategies([text])
    assert (found.name, found.parameters) == (name, parameters)


@pytest.mark.parametrize("text", ["", ":", "Recency", "sinks:8", "{", "[1]", '{"sinks": 8}', '{"name": 3}', "../x"])
def test_what_is_no_strategy_is_refused(text):
    """Anything else is wrong usage."""
    with pytest.raises(typer.BadParameter):
        strategies([text])


def test_budgets_are_numbers_or_shares():
    """Whole numbers count transitions, numbers with a point or a percent sign are shares; several by comma."""
    assert budgets(["40", "0.4, 0.25"]) == (40, 0.4, 0.25)
    assert budgets(["40%", "57 , 12.5%"]) == (0.4, 57, 0.125)
    assert [type(one) for one in budgets(["1,1.0"])] == [int, float]
    for text in ("x", "", "-1", "1e3", "40 %", "%", "0.1,,0.2", "inf", "nan"):
        with pytest.raises(typer.BadParameter, match=r"expected 40, 0\.4 or 40%"):
            budgets([text])


def test_settings_of_an_environment_are_read_as_json():
    """Numbers, lists and truth values become those; other text stays text, quoted text always does."""
    assert pairs(["size=9", "start=[4,4]", "ratio=0.9", "loud=false", "actions=reference", 'name="7"']) == {
        "size": 9,
        "start": [4, 4],
        "ratio": 0.9,
        "loud": False,
        "actions": "reference",
        "name": "7",
    }


@pytest.mark.parametrize("days", ["inf", "nan", "-1", "36501"])
def test_days_that_are_no_time_are_wrong_usage(days):
    """Before anything is asked of a service."""
    ran = CliRunner().invoke(app, ["keep", "last", "--days", days])
    assert ran.exit_code == 2
    assert "expected 0 to 36500 days" in " ".join(ran.output.split())
