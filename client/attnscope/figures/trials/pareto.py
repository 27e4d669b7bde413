"""Figure of the gain and cost of compression: return kept against tokens kept and against speed, the front marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from attnscope.figures.look import Picture, styled
from attnscope.figures.style import COLOURS, SERIES, finish, refuse
from attnscope.figures.trials.words import (
    BLIND,
    LEFT,
    Line,
    caption_of_trial,
    labels_of,
    looks,
    positions_of,
    strategies_of,
    title_of_trial,
)
from attnscope.trials.board import Board
from attnscope.trials.row import Row
from attnscope.trials.speed import speed_at

LOWEST = -0.25
"""Share of the gain below which a condition is drawn at the edge."""

Cost = Callable[[Row], float]


def front(rows: Sequence[Row], cost: Cost, *, cheap_is_low: bool = True) -> list[Row]:
    """Return the rows that no other beats in what they keep and what they cost, the cheapest first.

    Oracles are no alternatives, so they are neither on the front nor do they keep others from it.
    """
    sign = 1.0 if cheap_is_low else -1.0
    real = [row for row in rows if not row.condition.oracle and np.isfinite([cost(row), row.verdict.kept.value]).all()]
    found: list[Row] = []
    for row in sorted(real, key=lambda row: (sign * cost(row), -row.verdict.kept.value)):
        if not found or row.verdict.kept.value > found[-1].verdict.kept.value:
            found.append(row)
    return found


def speed_ratio(row: Row) -> float:
    """Return how many times as fast a row's decisions are, at most environments with a full context; NaN if untimed."""
    speed = speed_at(row.speeds)
    return float("nan") if speed is None else speed.ratio


def pareto(board: Board) -> Figure:
    """Return the figure: return kept against tokens on the left, against measured speed on the right."""
    positions = positions_of(board)
    rows = [row for row in board.rows[1:] if row.condition.budget is not None]
    timed = any(np.isfinite(speed_ratio(row)) for row in rows)
    named = _named(board, front(rows, lambda row: row.share.value))
    with styled():
        height = 4.6 if len(positions) == 1 else 2.6 * len(positions) + 0.8
        figure = Picture(figsize=(9.6, height), layout="constrained")
        grid = figure.subplots(len(positions), 2, sharex="col", sharey=timed, squeeze=False)
        for policy, (left, right) in zip(positions, grid, strict=True):
            of = [row for row in rows if row.condition.positions == policy]
            _panel(left, board, of, lambda row: row.share.value, named)
            left.set(ylabel="Gain over uniform actions kept")
            left.yaxis.set_major_formatter(PercentFormatter(1.0))
            left.set_title("Against tokens" + (f", positions {policy}" if len(positions) > 1 else ""))
            if timed:
                _panel(right, board, of, speed_ratio, named, cheap_is_low=False)
                right.set_title(_speed_title(of))
                right.axvline(1, color=COLOURS["uniform"], linewidth=0.6)
            else:
                refuse(right, "speed was not measured")
        grid[-1, 0].set(xlabel="Tokens kept (effective budget)")
        grid[-1, 0].xaxis.set_major_formatter(PercentFormatter(1.0))
        if timed:
            grid[-1, 1].set(xlabel="Times as fast as uncompressed")
        _legend(figure, board, named)
        return finish(figure, title_of_trial(board, "What compression buys and costs"), caption_of_trial(board))


def _speed_title(rows: list[Row]) -> str:
    speed = next((found for row in rows if (found := speed_at(row.speeds)) is not None), None)
    envs = "" if speed is None else f"{speed.envs} environments, "
    return f"Against speed ({envs}full context, strategy's work included)"


def _compressed(board: Board) -> tuple[Row, ...]:
    """Return the rows that drop anything, the uncompressed one first."""
    return tuple(row for row in board.rows if row.condition.index == 0 or row.condition.budget is not None)


def _named(board: Board, on_front: list[Row]) -> dict[str, tuple[str, Line]]:
    """Return the looks of the strategies that have their own: controls, then those on the front, then the rest."""
    rated, labels = strategies_of(_compressed(board)), labels_of(board.rows)
    order = sorted(rated, key=lambda name: -float(np.mean([row.verdict.kept.value for row in rated[name]])))
    names = dict.fromkeys([labels[row.condition.text] for row in on_front] + order)
    blind = [name for name in names if name in BLIND]
    return looks(blind + [name for name in names if name not in BLIND][: len(SERIES)])


def _panel(
    axes: Axes,
    board: Board,
    rows: list[Row],
    cost: Cost,
    named: dict[str, tuple[str, Line]],
    *,
    cheap_is_low: bool = True,
) -> Axes:
    bound = 1 - board.results.spec.margin
    axes.axhspan(bound, 1, color=COLOURS["third"], alpha=0.12, linewidth=0, gid="margin")
    axes.axhline(1, color=COLOURS["uniform"], linewidth=0.6)
    known = [row for row in rows if np.isfinite(cost(row))]
    width = max((cost(row) for row in known), default=1.0) / 300
    for name, of in strategies_of((board.rows[0], *known)).items():
        colour, line = named.get(name, (LEFT, "-"))
        aside = width * (list(named).index(name) - len(named) / 2) if name in named else 0.0
        at = [cost(row) + aside for row in of]
        kept = np.array([row.verdict.kept.value for row in of])
        back = 1 if name not in named else 3
        axes.plot(at, np.maximum(kept, LOWEST), linestyle=line, color=colour, linewidth=0.9, zorder=back)
        for place, row in zip(at, of, strict=True):
            _point(axes, place, row, colour, back)
    on_front = front(known, cost, cheap_is_low=cheap_is_low)
    if len(on_front) > 1:
        steps = [(cost(row), row.verdict.kept.value) for row in on_front]
        axes.plot(*zip(*steps, strict=True), color=COLOURS["text"], linewidth=2.6, alpha=0.25, zorder=2, gid="front")
    axes.set_ylim(*_limits(board))
    return axes


def _point(axes: Axes, at: float, row: Row, colour: str, back: int) -> None:
    kept = row.verdict.kept
    if not np.isfinite([at, kept.value]).all():
        return
    value = max(kept.value, LOWEST)
    if kept.has_interval and back > 1:
        ends = np.clip([kept.low, kept.high], LOWEST - 1, None)
        axes.vlines(at, *ends, color=colour, linewidth=0.7, alpha=0.7, zorder=back)
    face = "white" if row.condition.oracle else colour
    axes.plot(at, value, "o", markersize=4, markerfacecolor=face, markeredgecolor=colour, zorder=back + 1)


def _limits(board: Board) -> tuple[float, float]:
    found = [row.verdict.kept for row in board.rows[1:] if np.isfinite(row.verdict.kept.value)]
    ends = [value for kept in found for value in (kept.low, kept.high, kept.value) if np.isfinite(value)]
    low, high = min([0.0, *ends]), max([1.1, *ends])
    return max(low, LOWEST) - 0.05, min(high, 1.5) + 0.03


def _legend(figure: Figure, board: Board, named: dict[str, tuple[str, Line]]) -> None:
    handles = [Line2D([], [], color=colour, linestyle=line, label=name) for name, (colour, line) in named.items()]
    if any(name not in named for name in strategies_of(_compressed(board))):
        handles.append(Line2D([], [], color=LEFT, label="others"))
    handles.append(Line2D([], [], color=COLOURS["text"], linewidth=2.6, alpha=0.25, label="front (no oracles)"))
    handles.append(Line2D([], [], color=COLOURS["third"], linewidth=6, alpha=0.12, label="within the margin"))
    if any(row.condition.oracle for row in board.rows):
        hollow = Line2D([], [], linestyle="", label="hollow: oracle", markersize=4, marker="o", color=COLOURS["text"])
        hollow.set_markerfacecolor("white")
        handles.append(hollow)
    figure.legend(handles=handles, loc="outside right center", ncols=1)
