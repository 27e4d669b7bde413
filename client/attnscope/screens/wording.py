"""The words for a screen's budgets and departures, in tables, sentences and figures."""

from __future__ import annotations

from dataclasses import dataclass

from attnscope_storage.wire import OutputDescription


def budget_words(budget: float | None) -> str:
    """Return a budget in few words: ``25 %``, or a number of transitions."""
    if budget is None:
        return "all"
    return f"{budget:.0%}" if isinstance(budget, float) else f"{budget}"


@dataclass(frozen=True)
class DepartureWords:
    """The words for departures, by what the policy's head gives."""

    axis: str = "departure (TV)"
    """Label of an axis."""
    unit: str = "actions of an episode that differ"
    """The unit of an episode's number."""
    decision: str = "of live decisions depart"
    """Words behind the number of a decision."""


def departure_words(output: OutputDescription) -> DepartureWords:
    """Return the words for the departures of a policy with this head."""
    if output.kind == "vector":
        return DepartureWords(
            "departure (scaled distance)", "distance added up over an episode", "mean distance of live decisions"
        )
    if output.kind == "gaussian":
        return DepartureWords("departure (TV before any tanh)")
    if output.branches:
        return DepartureWords("departure (upper bound of TV)", "actions of an episode that differ, at most")
    return DepartureWords()
