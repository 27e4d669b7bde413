"""Learning curves under compression: a panel a strategy, a line a budget, the uncompressed rollout in each."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnscope.figures.look import Picture, styled
from attnscope.figures.style import BAND, COLOURS, finish
from attnscope.figures.trials.words import caption_of_trial, strategies_of, title_of_trial
from attnscope.trials.board import Board
from attnscope.trials.learning import curve, running
from attnscope.trials.row import Row

COLUMNS = 4
"""Panels side by side, at most."""


def trial_curves(board: Board, positions: str) -> Figure:
    """Return the learning curves of the conditions of one position policy; lines are running means."""
    rows = tuple(row for row in board.rows if row.condition.index == 0 or row.condition.positions == positions)
    strategies = strategies_of(rows)
    columns = min(COLUMNS, max(1, len(strategies)))
    lines = -(-len(strategies) // columns)
    budgets = sorted({_budget(row) for row in rows[1:]})
    with styled():
        figure = Picture(figsize=(2.35 * columns + 0.9, 1.75 * lines + 1.1), layout="constrained")
        grid = figure.subplots(max(1, lines), columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(strategies) :]:
            axes.set_visible(False)
        shades = mpl.colormaps["viridis"](np.linspace(0.9, 0.1, max(1, len(budgets))))
        colours = dict(zip(budgets, shades, strict=False))
        for axes, (name, of) in zip(grid.flat, strategies.items(), strict=False):
            _panel(axes, board, name, of, colours)
        for axes in grid[:, 0]:
            axes.set_ylabel("Return")
        for axes in grid[-1]:
            axes.set_xlabel("Episode")
        handles, labels = [], []
        for axes in grid.flat:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                if label not in labels:
                    handles.append(handle)
                    labels.append(label)
        figure.legend(handles, labels, loc="outside right center", title="Budget", title_fontsize=7)
        what = f"Learning in context under compression, positions {positions}"
        apart = "\nimported returns: one rollout a task, no interval" if board.outside else ""
        return finish(figure, title_of_trial(board, what), caption_of_trial(board) + apart)


def _panel(axes: Axes, board: Board, name: str, rows: list[Row], colours: dict[str, tuple[float, ...]]) -> Axes:
    results = board.results
    episode = np.arange(1, results.spec.episodes + 1)
    plain = curve(results, 0, board.bootstrap)
    axes.plot(episode, running(plain.value), color=COLOURS["text"], linewidth=1.4, label="uncompressed")
    for one in board.outside:
        values = running(np.asarray(one.curve))
        axes.plot(episode, values, color=COLOURS["muted"], linewidth=1.0, linestyle=":", label=one.label)
    for row in rows:
        found = curve(results, row.condition.index, board.bootstrap)
        colour = colours[_budget(row)]
        axes.plot(episode, running(found.value), color=colour, linewidth=1.0, label=_budget(row))
        if np.isfinite(found.low).all():
            axes.fill_between(
                episode, running(found.low), running(found.high), color=colour, alpha=BAND / 2, linewidth=0
            )
    axes.set_title(name + (" (oracle)" if any(row.condition.oracle for row in rows) else ""), fontsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    return axes


def _budget(row: Row) -> str:
    budget = row.condition.budget
    if budget is None:
        return "all" if row.condition.strategy == "none" else "its own"
    return f"{budget:>3.0%}" if isinstance(budget, float) else f"{budget} transitions"
