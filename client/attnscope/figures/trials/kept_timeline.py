"""Figure of the transitions that each strategy keeps in view: by age, over the rollout, rewards marked."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Int64
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from attnscope.figures.look import Picture, styled
from attnscope.figures.style import COLOURS, finish, refuse
from attnscope.figures.trials.words import caption_of_trial, title_of_trial
from attnscope.trials.board import Board
from attnscope.trials.results import TrialResults
from attnscope.trials.row import Row

STATES: Final = {
    "not there yet": "#FFFFFF",
    "dropped": "#E3E6E9",
    "dropped, rewarded": "#F3C9A5",
    "pooled": "#9FCBE8",
    "kept": COLOURS["first"],
    "kept, rewarded": COLOURS["second"],
}
"""The states of a transition at a step, with their colours."""

ABSENT, DROPPED, LOST, POOLED, KEPT, SAVED = range(len(STATES))

COLUMNS: Final = 3
TITLE: Final = 34
"""Characters of a panel's title."""

PANELS: Final = 12
"""Conditions of one figure, at most."""


def kept_timeline(board: Board, rows: list[Row], task: int = 0) -> Figure:
    """Return the timelines of some conditions, first seed of one task.

    Parameters
    ----------
    rows
        Conditions, `PANELS` at most.
    task
        Place on the task axis.
    """
    shown = rows[:PANELS]
    columns = min(COLUMNS, max(1, len(shown)))
    lines = max(1, -(-len(shown) // columns))
    results = board.results
    with styled():
        figure = Picture(figsize=(2.8 * columns + 1.5, 1.5 * lines + 1.2), layout="constrained")
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(shown) :]:
            axes.set_visible(False)
        if results.measured("kept/first") is None or not shown:
            refuse(grid[0, 0], "kept transitions were not stored")
        else:
            reach = max(_oldest(results, row, task) for row in shown)
            for axes, row in zip(grid.flat, shown, strict=False):
                _panel(axes, results, row, task, reach)
            for axes in grid[:, 0]:
                axes.set_ylabel("Step of the decision")
            for axes in grid.flat[max(0, len(shown) - columns) : len(shown)]:  # the lowest of each column
                axes.set_xlabel("Age in transitions (0: the newest)")
                axes.tick_params(labelbottom=True)
        handles = [Patch(facecolor=colour, edgecolor="#BBBBBB", label=name) for name, colour in STATES.items()]
        figure.legend(handles=handles, loc="outside right center")
        what = f"What is kept in view, {results.task_names[task]}, first seed"
        return finish(figure, title_of_trial(board, what), caption_of_trial(board))


def states(results: TrialResults, condition: int, task: int, reach: int) -> Int64[np.ndarray, "moment age"]:
    """Return what every transition up to an age is at each sampled step."""
    steps = results.static("kept/step")
    first, last = (np.asarray(results.arrays[f"kept/{end}"][condition, :, task], np.int64) for end in ("first", "last"))
    reward = np.asarray(results.arrays["rollout/reward"][condition, 0, task], np.float64)
    window = results.capacity // results.policy.tokens_per_transition
    found = np.full((len(steps), reach), ABSENT, np.int64)
    for moment, step in enumerate(steps):
        transition = step - 1 - np.arange(reach)
        held = (transition >= 0) & (np.arange(reach) < window)
        rewarded = np.where(transition >= 0, reward[np.maximum(transition, 0)], 0) > 0
        line = np.where(held, np.where(rewarded, LOST, DROPPED), ABSENT)
        for begin, end in zip(first[moment], last[moment], strict=True):
            inside = (transition >= begin) & (transition <= end) & (begin >= 0)
            line[inside] = POOLED if end > begin else KEPT
        found[moment] = np.where((line == KEPT) & rewarded, SAVED, line)
    return found


def _oldest(results: TrialResults, row: Row, task: int) -> int:
    """Return how far back a condition's tokens reach, the window at least."""
    first = np.asarray(results.arrays["kept/first"][row.condition.index, :, task], np.int64)
    age = np.where(first >= 0, results.static("kept/step")[:, None] - first, 0)
    return max(int(age.max(initial=0)), results.capacity // results.policy.tokens_per_transition)


def _panel(axes: Axes, results: TrialResults, row: Row, task: int, reach: int) -> Axes:
    shown = states(results, row.condition.index, task, reach)
    colours = ListedColormap(list(STATES.values()))
    norm = BoundaryNorm(np.arange(len(STATES) + 1) - 0.5, len(STATES))
    steps = results.static("kept/step")
    axes.imshow(shown, cmap=colours, norm=norm, aspect="auto", interpolation="nearest", origin="lower")
    places = np.unique(np.linspace(0, len(steps) - 1, min(5, len(steps))).round().astype(int))
    axes.set(yticks=places)
    axes.set_yticklabels([str(steps[place]) for place in places])
    axes.invert_xaxis()
    name = row.name if len(row.name) <= TITLE else f"{row.name[: TITLE - 1]}…"
    axes.set_title(name + (" (oracle)" if row.condition.oracle else ""), fontsize=7)
    return axes
