"""The strategies that are ranked, and their budgets; each rule's own file says in which forms it is."""

from __future__ import annotations

from typing import Final

from attnscope_model.strategies import Candidate, ContextView, ViewIncompleteError, candidates

BUDGETS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
"""Shares of the history that strategies are compared at."""


def applicable(view: ContextView) -> tuple[tuple[Candidate, ...], dict[str, str]]:
    """Return the candidates that this view can be judged by, and why each other one cannot.

    Raises
    ------
    StrategyPackageError
        An installed package's strategy cannot be used.
    """
    fitting: list[Candidate] = []
    refused: dict[str, str] = {}
    for candidate in candidates():
        try:
            for rule in candidate.choices:
                rule.plan(view, 1)
        except ViewIncompleteError as error:
            refused[candidate.key] = str(error)
        else:
            fitting.append(candidate)
    return tuple(fitting), refused
