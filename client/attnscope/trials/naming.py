"""Short names of conditions: a strategy with the parameters that are not its defaults."""

from __future__ import annotations

from typing import Final

from attnscope_model.strategies.spelling import spelled
from attnscope_storage.wire import Condition

LONGEST: Final = 40
"""Characters of a name."""


def label_of(condition: Condition) -> str:
    """Return a strategy's name with what differs from its defaults, e.g. ``anchored(inner=h2o(recent=0.25))``."""
    text = spelled(condition.strategy, condition.parameters)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def name_of(condition: Condition) -> str:
    """Return a condition in a few words, such as ``recency 40%``; of transitions the number alone.

    In a trial with arms the checkpoint stands before it.
    """
    rule = rule_of(condition)
    return rule if condition.checkpoint_name is None else f"{condition.checkpoint_name} {rule}"


def positions_of(condition: Condition) -> str:
    """Return where kept tokens stand, in a cell; a dash where nothing is ever dropped, so that nothing can move."""
    return "–" if condition.strategy == "none" else condition.positions


def rule_of(condition: Condition) -> str:
    """Return a condition's rule and budget, without its checkpoint."""
    if condition.index == 0 or (condition.checkpoint_name is not None and condition.strategy == "none"):
        return "uncompressed"
    if condition.budget is None:
        return label_of(condition)
    share = isinstance(condition.budget, float)
    return f"{label_of(condition)} {condition.budget:.0%}" if share else f"{label_of(condition)} {condition.budget}"
