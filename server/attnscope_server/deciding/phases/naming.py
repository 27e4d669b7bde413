"""Budgets as names have them."""

from __future__ import annotations

from attnscope_storage.wire.specifications.arms import Budget


def budget_text(budget: Budget) -> str:
    """Return a budget as names have it: ``80`` transitions, or ``25%`` of the history."""
    return str(budget) if isinstance(budget, int) else f"{100 * budget:.3g}%"
