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
    column: str = "TV"
    """Head of a column with the number of a decision."""
    key: str = "share of live decisions"
    """Meaning of that column."""

    @property
    def legend(self) -> str:
        """The two columns of departures in words, as a table prints them below itself."""
        return f"departs: {self.unit}, 95 %. {self.column}: {self.key}."


def departure_words(output: OutputDescription) -> DepartureWords:
    """Return the words for the departures of a policy with this head."""
    if output.kind == "vector":
        return DepartureWords(
            "departure (scaled distance)",
            "distance added up over an episode",
            "mean distance of live decisions",
            "distance",
            "mean of live decisions, no share",
        )
    if output.kind == "gaussian":
        return DepartureWords("departure (TV before any tanh)", key="share of live decisions, before any tanh")
    if output.branches:
        return DepartureWords(
            "departure (upper bound of TV)",
            "actions of an episode that differ, at most",
            "of live decisions depart, at most",
            "TV bound",
            "share of live decisions, at most",
        )
    return DepartureWords()
