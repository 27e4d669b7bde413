"""The answer of a trial of checkpoints in plain words: may an arm take the place of the first, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from attnscope.trials.arms import times_as_fast
from attnscope.trials.board import Board
from attnscope.trials.naming import name_of
from attnscope.trials.reach import scope_words
from attnscope.trials.recipes import ArmOfRecipe
from attnscope.trials.row import Row
from attnscope.trials.verdicts import Verdict
from attnscope.trials.words import number

COUNTS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
"""Numbers of training seeds in words, as far as sentences spell them."""

ONE_TRAINING: Final = "That is said of these checkpoints: one training each tells nothing of how they were trained."


def answers(board: Board) -> list[str]:
    """Return a sentence or a few an arm beside the first one; none where the trial has no arms, or none is done yet."""
    by_arm: dict[int, list[Row]] = {}
    for row in board.rows:
        if row.condition.arm is not None and row.condition.against != row.condition.index:
            by_arm.setdefault(row.condition.arm, []).append(row)
    over_seeds = {one.arm: one for one in board.recipes}
    return [_answer(board, rows, over_seeds.get(arm)) for arm, rows in by_arm.items() if _whole(board, arm, rows)]


def _whole(board: Board, arm: int, rows: Sequence[Row]) -> bool:
    """Return True where every checkpoint of an arm has acted: a part of its training seeds is no answer."""
    asked = [one for one in board.results.resolved.conditions if one.arm == arm and one.against != one.index]
    return len(rows) == len(asked)


def _answer(board: Board, rows: list[Row], recipe: ArmOfRecipe | None) -> str:
    first = rows[0]
    if recipe is None:
        reference = name_of(board.results.conditions[board.results.against(first.condition.index)])
        said = [_said(board, first.verdict, first.name, reference), _alone(board, first.verdict)]
        last = ONE_TRAINING
    else:
        count = recipe.training_seeds
        spelled = COUNTS[count] if count < len(COUNTS) else str(count)
        whose = f"the mean over these {spelled} training seeds of {recipe.name}"
        whose = whose if count > 1 else f"the only checkpoint of {recipe.name}"
        said = [_said(board, recipe.these, whose, recipe.against)]
        last = _of_recipe(recipe)
    sentences = [one for one in (*said, _costs(board, rows), last) if one]
    return " ".join(f"{one[0].upper()}{one[1:]}" for one in sentences)


def _said(board: Board, verdict: Verdict, name: str, reference: str) -> str:
    """Return the verdict on checkpoints as a sentence."""
    scope, margin = scope_words(board.results, verdict.kept.scope), f"{board.results.spec.margin:.0%}"
    if verdict.reason is not None:
        return f"nothing is said of {name} against {reference}: {verdict.reason}."
    kept = f"{number(verdict.kept)} of the gain over uniform actions"
    if verdict.word == "non-inferior":
        return f"{name} may take the place of {reference} {scope}: non-inferior at {margin}, it keeps {kept}."
    if verdict.word == "inferior":
        return f"{name} is worse than {reference} {scope}: it keeps {kept}, so it loses more than {margin} of it."
    needs = f"; {verdict.needs}" if verdict.needs else ""
    return f"{name} against {reference} {scope}: unclear at {margin}, it keeps {kept}{needs}."


def _alone(board: Board, verdict: Verdict) -> str:
    """Return the warning that a verdict is one of several looks; nothing where it holds with all of them."""
    judged = sum(row.condition.against != row.condition.index for row in board.rows)
    if verdict.word == "inconclusive" or verdict.jointly or judged < 2:  # noqa: PLR2004 - one look needs no warning
        return ""
    return "It holds by itself, not with all arms judged at once: the best of several looks better than it is."


def _costs(board: Board, rows: Sequence[Row]) -> str:
    """Return tokens and time beside the reference, means over an arm's checkpoints."""
    references = [board.rows[board.results.against(row.condition.index)] for row in rows]
    own, other = (float(np.mean([row.tokens for row in of])) for of in (rows, references))
    fast = [found for row in rows if (found := times_as_fast(board, row)) is not None]
    if not fast:
        return f"it takes {own:.1f} history tokens a decision against {other:.1f}; its speed is not known."
    times, envs = float(np.mean([one[0] for one in fast])), fast[0][1]
    return (
        f"it takes {own:.1f} history tokens a decision against {other:.1f}, and decides {times:.2f} times as fast with "
        f"full contexts ({envs} environments)."
    )


def _of_recipe(one: ArmOfRecipe) -> str:
    """Return what follows for the recipe that gave the training seeds."""
    if one.recipe.reason is not None:
        return f"of the recipe itself nothing is claimed: {one.recipe.reason}."
    words = {
        "non-inferior": "may take its place too",
        "inferior": "is worse too" if one.these.word == "inferior" else "is worse",
        "inconclusive": "stays unclear: other trainings may do better or worse than these",
    }
    return f"the recipe itself, trained anew, {words[one.recipe.word]} ({number(one.recipe.kept)}; {one.recipe_words})."
