"""Options as people type them."""

from __future__ import annotations

import pytest
import typer

from attnscope.cli.parsing import goals


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
