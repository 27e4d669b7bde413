"""Words for budgets and subjects in figures of screens."""

from __future__ import annotations

from attnscope.screens.results import ScreenResults


def subject(results: ScreenResults) -> str:
    """Return what was screened, and how far it can be relied on."""
    tasks, rollouts = len(results.resampling.per_task), len(results.task)
    decisions = results.arrays["decision/live"].size
    few = "" if results.reliable else "; fewer than 8 tasks of 4 rollouts: unreliable"
    text = f"{decisions} decisions of {rollouts} rollouts of {tasks} tasks, 95 %{few}. It shows changes, no costs."
    return f"{results.name}: {text}" if results.name else text
