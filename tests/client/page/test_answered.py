"""The answer as JSON: the very numbers that the figures draw, and None for what is not known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from attnscope.figures.decisions.ladder import ladder
from attnscope.figures.screens.map import screen_map
from attnscope.page.answered import answer_of
from attnscope.page.evidence import Answers, Given, Nothing
from attnscope.screens.board import rows
from evidence import card_of, evidence, screened


@pytest.fixture(scope="module")
def told():
    """Return the answer of a card and a screen, as it travels."""
    return json.loads(json.dumps(answer_of(evidence()), allow_nan=False))


def test_the_map_has_the_numbers_of_the_figure(told):
    """Rule by rule and budget by budget, in the figure's order; oracles are a map of their own."""
    axes = screen_map(screened()).axes
    maps = told["screen"]["maps"]
    assert [one["title"] for one in maps] == [panel.get_title(loc="left") or panel.get_title() for panel in axes]
    for panel, found in zip(axes, maps, strict=True):
        names = [label.get_text() for label in panel.get_yticklabels()]
        assert names == [rule["name"] for rule in found["rules"]]
        drawn = np.asarray(panel.images[0].get_array())
        assert drawn == pytest.approx(
            np.array([[cell["departs"][0] for cell in rule["cells"]] for rule in found["rules"]])
        )


def test_the_curves_have_every_deployable_row(told):
    """Each point is a row of the board: tokens, departure and its interval."""
    points = [point for rule in told["screen"]["curves"]["rules"] for one in rule["lines"] for point in one["points"]]
    board = [row for row in rows(screened()) if not row.oracle]
    wanted = [[row.tokens, row.tv_live, row.tv_live_low, row.tv_live_high] for row in board]
    assert sorted([one["tokens"], *one["tv"]] for one in points) == pytest.approx(np.array(sorted(wanted)), abs=1e-6)


def test_the_ladder_has_the_looks_of_the_card(told):
    """A limit that does not exist is None, and the axis is the figure's."""
    found = told["decision"]
    assert [[look["kept"] for look in column["looks"]] for column in found["ladder"]] == [[1.0, 0.99], [0.7]]
    assert found["ladder"][0]["looks"][0]["low"] is None
    assert found["ladder"][0]["looks"][0]["safe"] is None  # at the first look nothing may be called safe
    assert found["limits"] == pytest.approx(ladder(card_of()).axes[0].get_ylim())
    assert found["border"] == pytest.approx(0.95)


def test_where_nothing_is_known_a_command_gives_an_answer(planted):
    """A capture without a decision names the command; a given answer names none."""
    import attnscope  # noqa: PLC0415 - loads zarr

    capture = attnscope.open(planted())
    nothing = Answers(Nothing(), lambda: capture).document()
    assert (nothing["decision"], nothing["screen"]) == (None, None)
    assert nothing["commands"][0][1].startswith("attnscope decide ")
    assert Answers(Given(evidence()), lambda: capture).document()["commands"] == []


def test_an_answer_is_made_once_for_each_state():
    """The page asks at each of its news; the intervals of a screen take seconds."""
    asked = []

    class Counted(Given):
        def evidence(self):
            asked.append(1)
            return super().evidence()

    answers = Answers(Counted(evidence()), lambda: None)
    assert answers.document() is answers.document()
    assert len(asked) == 1
