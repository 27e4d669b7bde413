"""The strategies that are ranked, and their budgets; each rule's own file says in which forms it is."""

from __future__ import annotations

from typing import Final

from attnscope_model.strategies import Candidate, ContextView, Strategy, ViewIncompleteError, candidates
from attnscope_model.strategies.fitting import why_not_observation
from attnscope_storage.wire import RecordedPolicy

BUDGETS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
"""Shares of the history that strategies are compared at."""


def applicable(view: ContextView, policy: RecordedPolicy) -> tuple[tuple[Candidate, ...], dict[str, str]]:
    """Return the candidates that this view can be judged by, and why each other one cannot.

    Parameters
    ----------
    policy
        Whose observations a rule has to fit, as a trial would ask.

    Raises
    ------
    StrategyPackageError
        An installed package's strategy cannot be used.
    """
    fitting: list[Candidate] = []
    refused: dict[str, str] = {}
    for candidate in candidates():
        if (reason := next(filter(None, (_unfit(rule, policy) for rule in candidate.choices)), None)) is not None:
            refused[candidate.key] = reason
            continue
        try:
            for rule in candidate.choices:
                rule.plan(view, 1)
        except ViewIncompleteError as error:
            refused[candidate.key] = str(error)
        else:
            fitting.append(candidate)
    return tuple(fitting), refused


def _unfit(rule: Strategy, policy: RecordedPolicy) -> str | None:
    """Return why a trial would refuse a rule for the policy's observations; None where it would not."""
    return None if policy.observation is None else why_not_observation(rule, policy.observation)
