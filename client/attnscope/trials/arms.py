"""Sentences on arms: each beside the first arm, its tokens and its time; and on recipes, their seeds told apart."""

from __future__ import annotations

import numpy as np

from attnscope.trials.board import Board
from attnscope.trials.phases import mean_return
from attnscope.trials.reach import scope_words
from attnscope.trials.recipes import ArmOfRecipe
from attnscope.trials.row import Row
from attnscope.trials.speed import speed_at
from attnscope.trials.words import number
from attnscope_model.strategies.learned import Latents

RISK = (
    "Such a word on a recipe is wrong in 2.5 % of cases at most where trainings vary evenly or with a tail of losses, "
    "and in some 3.4 % where one in twenty loses much more than the others."
)
"""The errors of a recipe's "non-inferior", simulated by ``python -m benchmarks.calibration --only seeds``."""


def arm_sentences(board: Board) -> list[str]:
    """Return the reference, then a sentence an arm, then one an arm of a recipe."""
    named = [row for row in board.rows if row.condition.arm is not None]
    references = [row for row in named if row.condition.against == row.condition.index]
    others = [row for row in named if row.condition.against != row.condition.index]
    lines = [_reference(board, row) for row in references]
    lines += [_arm(board, row) for row in others]
    return lines + [recipe_sentence(board, one) for one in board.recipes]


def recipe_sentence(board: Board, one: ArmOfRecipe) -> str:
    """Return what an arm keeps over the training seeds of its recipe, and what of it the recipe keeps."""
    beside = f"{one.against} ({_seeds(one.reference_seeds)})"
    scope = scope_words(board.results, "these tasks")
    risk = f" {RISK}" if one.recipe.reason is None and one.recipe.word == "non-inferior" else ""
    return (
        f"{one.name} over {_seeds(one.training_seeds)}, against {beside}: these checkpoints keep "
        f"{number(one.these.kept)} of the gain ({one.seeds_words}); the recipe keeps {number(one.recipe.kept)} "
        f"({one.recipe_words}), {scope}.{risk}"
    )


def times_as_fast(board: Board, row: Row) -> tuple[float, int] | None:
    """Return how many times as fast as its reference a row decides with full contexts, and at how many environments.

    Both were timed in turns with the uncompressed decisions of condition 0. None where either was not timed.
    """
    own, reference = (speed_at(one.speeds) for one in (row, board.rows[board.results.against(row.condition.index)]))
    if own is None or reference is None or row.condition.oracle:
        return None
    beside = 1.0 if row.condition.against == 0 else reference.ratio
    return own.ratio / beside, own.envs


def _seeds(count: int) -> str:
    return f"{count} training seeds" if count != 1 else "1 checkpoint"


def _reference(board: Board, row: Row) -> str:
    results = board.results
    mean = board.bootstrap.mean(mean_return(results, row.condition.index))
    beside = ""
    if np.isfinite(results.random_return).all():
        beside = f"; uniform actions get {results.random_return.mean():.2f}"
    return (
        f"Reference: {row.name}, a return of {number(mean)} an episode from {row.tokens:.1f} tokens a decision{beside}."
    )


def _memory(row: Row, reference: Row) -> str:
    """Return an arm's share of the reference's memory in words, and what of it nobody tells."""
    untold = row.condition.strategy == Latents.name and row.condition.parameters.get("by")
    share = f"{row.bytes / reference.bytes:.0%} of its memory" if reference.bytes else "memory not known"
    return share + " without its compressor's" * bool(untold)


def _arm(board: Board, row: Row) -> str:
    reference = board.rows[board.results.against(row.condition.index)]
    fast = times_as_fast(board, row)
    time = "" if fast is None else f", {fast[0]:.2f} times as fast with full contexts ({fast[1]} environments)"
    better = ""
    if row.difference.has_interval and row.difference.low > 0:
        better = "; its return is higher"
    elif row.difference.has_interval and row.difference.high < 0:
        better = "; its return is lower"
    return (
        f"{row.name} against {reference.name}: keeps {number(row.verdict.kept)} of the gain, {row.verdict}{better} "
        f"(difference {number(row.difference)} an episode); {row.tokens:.1f} tokens a decision against "
        f"{reference.tokens:.1f}, {row.flops_share:.0%} of its operations, {_memory(row, reference)}{time}."
    )
