"""Words and colours that a decision's figures share."""

from __future__ import annotations

from typing import Final

from attnscope.decisions.wording import own_command
from attnscope.figures.style import COLOURS
from attnscope_storage.wire.specifications.decisions import DecisionCard

SHADES: Final = {"non-inferior": COLOURS["third"], "inferior": COLOURS["second"], "undecided": COLOURS["muted"]}
"""Colours of verdicts."""


def caption_of_card(card: DecisionCard) -> str:
    """Return the words for the data behind a decision's figures."""
    return (
        f"{card.checkpoint_name} ({card.checkpoint_id[:12]}) in {card.environment_id}; {card.scope}; margin "
        f"{100 * card.margin:g} % of the gain over uniform actions; repeated intervals\n"
        f"decision {card.job}, {card.rollouts} rollouts in all; again: {own_command(card)}"
    )
