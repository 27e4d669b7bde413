"""The reach of a trial's verdicts in words, the same in terminal, text, table, page and JSON."""

from __future__ import annotations

from attnscope.trials.results import TrialResults


def scope_words(results: TrialResults, scope: str) -> str:
    """Return how far a trial's verdicts reach, e.g. ``for these 8 tasks, all of the held-out split``."""
    tasks, resolved = len(results.tasks), results.resolved
    if scope != "these tasks":
        return "for tasks like these"
    whole = resolved.whole_split if tasks == len(resolved.tasks) else None
    every = "" if whole is None else f", all of the {whole} split"
    return "for this task" if tasks == 1 else f"for these {tasks} tasks{every}"


def reach_words(results: TrialResults, scope: str) -> str:
    """Return the sentence on the reach of a trial's verdicts, which every form of a trial has."""
    whose = " and for these checkpoints, not for their recipes" if results.has_arms else ""
    return f"Verdicts hold {scope_words(results, scope)}{whose}."
