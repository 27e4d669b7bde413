"""Comparisons of any two arms of the study's trial, by the verdicts of every trial, and the registered words."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from attnscope.trials.bootstrap import PairedBootstrap
from attnscope.trials.recipes import ArmOfRecipe, arms_of_recipes
from attnscope.trials.results import TrialResults
from attnscope.trials.verdicts import Verdict
from attnscope_storage.wire import Condition
from benchmarks.learned.settings import Question


def compared(results: TrialResults, question: Question) -> ArmOfRecipe:
    """Return the trial's own verdicts on an arm against another one.

    Raises
    ------
    LookupError
        One of the arms is of no recipe, or is not finished.
    """
    seen = of_arms(seen_from(results, question.reference), {0, question.arm, question.reference})
    bootstrap = PairedBootstrap(seen.seeds, len(seen.tasks))
    wanted = question.reference if question.arm == 0 else question.arm
    for one in arms_of_recipes(seen, bootstrap):
        if one.arm == wanted:
            return one
    raise LookupError(f"arm {question.arm} is of no recipe, or not finished")


def seen_from(results: TrialResults, reference: int) -> TrialResults:
    """Return the results with another arm as the reference; it and the first one change places."""
    exchanged = {0: reference, reference: 0}
    conditions = [
        one.model_copy(update={"arm": exchanged.get(one.arm, one.arm) if one.arm is not None else None})
        for one in results.resolved.conditions
    ]
    references = [one for one in conditions if one.arm == 0]
    judged = tuple(one.model_copy(update={"against": _reference(one, references)}) for one in conditions)
    return replace(results, resolved=results.resolved.model_copy(update={"conditions": judged}))


def of_arms(results: TrialResults, arms: Collection[int]) -> TrialResults:
    """Return the results with these arms alone to be judged; conditions of others stay, and are of no arm."""
    conditions = tuple(
        one if one.arm in arms else one.model_copy(update={"arm": None}) for one in results.resolved.conditions
    )
    return replace(results, resolved=results.resolved.model_copy(update={"conditions": conditions}))


def answer(verdict: Verdict) -> str:
    """Return the registered answer of an interval."""
    if verdict.kept.low > 1:
        return "**yes**, more"
    if verdict.kept.high < 1:
        return "**no**, less"
    return "as good" if verdict.kept.low > verdict.bound else "undecided"


def by_episode(results: TrialResults, arm: int) -> Float64[np.ndarray, "checkpoint episode"]:
    """Return the mean return of every episode of an arm's checkpoints."""
    places = [one.index for one in results.conditions if one.arm == arm]
    return np.asarray(results.returns[places].mean(axis=(1, 2)))


def _reference(one: Condition, references: list[Condition]) -> int:
    """Return what a condition is compared with: itself, the reference of its own checkpoint, or the first one."""
    if one.arm == 0:
        return one.index
    return next((other.index for other in references if other.checkpoint == one.checkpoint), references[0].index)
