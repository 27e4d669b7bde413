"""The part of a capture that is asked for: environments, steps, and the contexts that count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int64

from attnscope.capture import Capture
from attnscope.errors import NotCapturedError

HEATMAPS = 5
"""Sample heatmaps."""

OFTEN = 0.2
"""Share of the decisions that have the longest context, from which on only these count."""


@dataclass(frozen=True)
class Choice:
    """The part of a capture that a report or advice is asked for."""

    envs: tuple[int, ...] | None = None
    """Places among the stored environments; None takes all."""
    steps: int | None = None
    """Evaluation length: only so many steps from the beginning count; None takes all that is committed."""
    heatmaps: int = HEATMAPS
    """Sample heatmaps, evenly spaced over the sampled maps."""
    full: bool = False
    """Read the rows of every step, and judge every decision."""


def least_length(length: Int[np.ndarray, "step env"]) -> int:
    """Return the tokens of the shortest context that counts in a mean.

    The longest context that every rollout reaches counts alone where at least a fifth of all decisions have it. If
    fewer have it, contexts of half that length count too.

    Parameters
    ----------
    length
        Context length of every committed decision that takes part, in tokens.
    """
    longest = int(length.max(axis=0).min())
    return longest if float((length >= longest).mean()) >= OFTEN else (longest + 1) // 2


def select_envs(capture: Capture, envs: tuple[int, ...] | None) -> tuple[tuple[int, ...], Int64[np.ndarray, " env"]]:
    """Return places among the stored environments, all of them where None, and their entries of the env axis.

    Those with stored rows are the stored ones, where there are any; else all are.

    Raises
    ------
    NotCapturedError
        A place is asked for twice, or is not there.
    """
    held = capture.row_envs()
    stored = np.arange(capture.context.length.shape[1], dtype=np.int64) if held is None else np.asarray(held, np.int64)
    if envs is None:
        return tuple(range(len(stored))), stored
    if len(set(envs)) < len(envs):
        raise NotCapturedError(f"an environment is asked for twice, which would count it twice: {list(envs)}")
    if not envs or max(envs) >= len(stored) or min(envs) < 0:
        raise NotCapturedError(f"environments 0 to {len(stored) - 1} are stored, asked for {list(envs)}")
    return envs, stored[list(envs)]


def places_of_goals(capture: Capture, cells: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """Return the places, among the stored environments, whose goal is one of these cells.

    Raises
    ------
    NotCapturedError
        A cell is the goal of none of them.
    """
    goal_of = {cell.index: cell.goal for cell in capture.resolved.tasks}
    names = capture.names()
    tasks = [goal_of.get(int(task)) for task in capture.env.task[:]] if "env/task" in names else []
    held = capture.row_envs()
    stored = range(len(tasks)) if held is None else held
    goals = [tasks[env] if env < len(tasks) else None for env in stored]
    missing = [cell for cell in cells if cell not in goals]
    if missing:
        there = ", ".join(sorted({str(goal) for goal in goals if goal is not None})) or "none is known"
        raise NotCapturedError(f"no stored environment has the goal {missing[0]}; goals are: {there}")
    return tuple(index for index, goal in enumerate(goals) if goal in cells)
