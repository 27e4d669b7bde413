"""The words for a screen's budgets, in tables, sentences and figures."""

from __future__ import annotations


def budget_words(budget: float | None) -> str:
    """Return a budget in few words: ``25 %``, or a number of transitions."""
    if budget is None:
        return "all"
    return f"{budget:.0%}" if isinstance(budget, float) else f"{budget}"
