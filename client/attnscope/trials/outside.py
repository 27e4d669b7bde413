"""Arms that another program ran: their returns beside a trial, one rollout a task, so without an interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float64

from attnscope.measures.refusals import NotMeasurableError
from attnscope.trials.naming import name_of
from attnscope.trials.phases import gain
from attnscope.trials.results import TrialResults

NO_INTERVAL: Final = "one rollout a task: no interval, no verdict"

RULE: Final = "imported returns"
"""Name of the rule of such an arm in tables, where its own is not known."""


@dataclass(frozen=True)
class OutsideArm:
    """An arm of returns alone, beside the reference of a trial."""

    name: str
    against: str
    """The reference: the first arm, or the uncompressed policy."""
    mean: float
    """Return of an episode, mean over tasks and episodes."""
    kept: float
    """(mean − random) ÷ (reference − random); NaN where random is not known or the reference gains nothing."""
    difference: float
    """Its return of an episode − the reference's."""
    curve: tuple[float, ...]
    """Return of each episode, mean over tasks."""

    @property
    def label(self) -> str:
        """The arm's name in tables and figures, which says that it is imported."""
        return f"{self.name}, {RULE}"

    @property
    def share(self) -> str:
        """The share that it keeps in a cell, a number without an interval."""
        return "–" if np.isnan(self.kept) else f"{self.kept:.2f}"

    @property
    def words(self) -> str:
        """The arm in a sentence."""
        share = "its share of the gain is not known" if np.isnan(self.kept) else f"keeps {self.kept:.2f} of the gain"
        return (
            f"{self.label} against {self.against}: a return of {self.mean:.2f} an episode, {share}; "
            f"{NO_INTERVAL}. Its random numbers are not those of the trial, and its tokens and time are not known."
        )

    def flat(self) -> dict[str, Any]:
        """Return its numbers as a line of a trial's table, under the names of `attnscope.trials.columns.flat`."""
        known = {"strategy": RULE, "text": self.label, "verdict": "inconclusive", "words": NO_INTERVAL}
        return known | {"kept": self.kept, "difference": self.difference}

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {**vars(self), "low": None, "high": None, "reason": NO_INTERVAL, "words": self.words}


def outside_arm(results: TrialResults, name: str, returns: Float64[np.ndarray, "task episode"]) -> OutsideArm:
    """Return an arm of returns beside the reference of a trial.

    Parameters
    ----------
    results
        The trial.
    name
        The arm's, for people.
    returns
        One rollout of each of the trial's tasks, in its order, of as many episodes.

    Raises
    ------
    NotMeasurableError
        The shape is not that of the trial's tasks and episodes.
    """
    expected = len(results.tasks), results.spec.episodes
    if returns.shape != expected:
        raise NotMeasurableError(
            f"{name}: expected returns of shape {expected} [env, episode], an environment a task of the trial in its "
            f"order ({', '.join(results.task_names)}), got {returns.shape}"
        )
    reference = next((one.index for one in results.conditions if one.arm == 0), 0)
    above, below = float((returns.mean(axis=1) - results.random_return).mean()), float(gain(results, reference).mean())
    kept = above / below if below > 0 else float("nan")
    mean = float(returns.mean())
    apart = mean - float(results.returns[reference].mean())
    curve = tuple(float(one) for one in returns.mean(axis=0))
    return OutsideArm(name, name_of(results.conditions[reference]), mean, kept, apart, curve)
