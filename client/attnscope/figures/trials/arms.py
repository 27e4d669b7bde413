"""Figure of a trial's arms: the share of the reference's gain that each keeps, beside its tokens and its time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from attnscope.figures.look import COLUMN_INCHES, Picture, is_in_a_paper, styled
from attnscope.figures.style import COLOURS, finish, fold, refuse
from attnscope.figures.trials.words import SIGNS, caption_of_trial, title_of_trial
from attnscope.measures.intervals import Estimate
from attnscope.trials.arms import times_as_fast
from attnscope.trials.board import Board
from attnscope.trials.outside import NO_INTERVAL, OutsideArm
from attnscope.trials.row import Row
from attnscope.trials.verdicts import Verdict

LABEL_INCHES = 2.6
"""Width of the names of arms."""

WIDER_INCHES = 0.28
"""Inches by which the letters of such a name are wider in a coarse picture, at most."""

PAPER_INCHES = 1.2
"""The same in a paper."""

WORD_COLOURS = {"non-inferior": "third", "inferior": "deciding", "inconclusive": "muted"}


@dataclass(frozen=True)
class _Line:
    """One line of the figure."""

    name: str
    verdict: Verdict
    word: str
    hollow: bool = False
    row: Row | None = None
    """None of a line over several checkpoints, whose costs stand at theirs, and of imported returns."""
    marker: str = "o"

    @property
    def kept(self) -> Estimate:
        """The share of the gain that it keeps."""
        return self.verdict.kept


def trial_arms(board: Board) -> Figure:
    """Return the figure: a line a condition of an arm, then one for these seeds and one for the recipe of each."""
    lines = _lines(board)
    if is_in_a_paper():
        return _in_a_column(board, lines)
    with styled():
        figure = Picture(figsize=(9.4, 0.34 * len(lines) + 1.75), layout="constrained")
        left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=(3, 1.3, 1.3))
        _kept(left, lines, 1 - board.results.spec.margin)
        _costs(middle, [np.nan if one.row is None else one.row.tokens for one in lines], "{:.1f}")
        middle.set(xlabel="History tokens a decision")
        fast = [None if one.row is None else times_as_fast(board, one.row) for one in lines]
        if any(fast):
            _costs(right, [np.nan if one is None else one[0] for one in fast], "{:.2f}×")
            right.set(xlabel="Times as fast, full contexts")
            right.axvline(1, color=COLOURS["uniform"], linewidth=0.6)
        else:
            refuse(right, "speed was not measured")
        _named(left, [fold(one.name, LABEL_INCHES, 7) for one in lines])
        caption = caption_of_trial(board) + _key(board)
        return finish(figure, title_of_trial(board, "Gain kept by arm"), caption, left=WIDER_INCHES)


def _in_a_column(board: Board, lines: list[_Line]) -> Figure:
    """Return the figure of a paper: the gain kept alone, tokens behind the names."""
    with styled():
        names = [one.name if one.row is None else f"{one.name}, {one.row.tokens:.0f} tokens" for one in lines]
        folded = [fold(name, PAPER_INCHES, 5.5) for name in names]
        height = 0.09 * sum(name.count("\n") + 1.6 for name in folded) + 0.5
        figure = Picture(figsize=(COLUMN_INCHES, height), layout="constrained")
        axes = figure.subplots()
        _kept(axes, lines, 1 - board.results.spec.margin)
        _named(axes, folded)
        return finish(figure, title_of_trial(board, "Gain kept by arm"), caption_of_trial(board) + _key(board))


def _named(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _key(board: Board) -> str:
    key = f"\n✓ non-inferior at a margin of {board.results.spec.margin:.0%}; ✗ inferior; ? inconclusive or no claim"
    return f"{key}; ◇ imported returns, one rollout a task: no interval" if board.outside else key


def _lines(board: Board) -> list[_Line]:
    rows = [row for row in board.rows if row.condition.arm is not None]
    words = ["" if row.condition.against == row.condition.index else row.verdict.word for row in rows]
    found = [_Line(row.name, row.verdict, word, row=row) for row, word in zip(rows, words, strict=True)]
    for one in board.recipes:
        these = f"{one.name}: these {one.training_seeds} checkpoints"
        found.append(_Line(these, one.these, one.these.word))
        found.append(_Line(f"{one.name}: the recipe", one.recipe, one.recipe.word, hollow=True))
    return found + [_outside(board, one) for one in board.outside]


def _outside(board: Board, one: OutsideArm) -> _Line:
    """Return the line of imported returns: a share without an interval or a word."""
    share = Estimate(one.kept, np.nan, np.nan, 1.0, len(board.results.tasks), reliable=False, scope="these tasks")
    verdict = Verdict("inconclusive", share, 1 - board.results.spec.margin, reason=NO_INTERVAL)
    return _Line(f"{one.label}, no interval", verdict, "", hollow=True, marker="D")


def _kept(axes: Axes, lines: list[_Line], bound: float) -> None:
    """Draw what each line keeps with its interval, and the margin; say why where nothing is known of any."""
    axes.set(xlabel="Gain over uniform actions kept")
    reasons = [one.verdict.reason for one in lines if one.verdict.reason is not None]
    if reasons and not any(np.isfinite(one.kept.value) for one in lines):
        refuse(axes, reasons[0])
        return
    axes.axvspan(bound, 1, color=COLOURS["third"], alpha=0.12, linewidth=0, gid="margin")
    axes.axvline(1, color=COLOURS["uniform"], linewidth=0.6)
    ends = [value for one in lines for value in (one.kept.low, one.kept.high, one.kept.value) if np.isfinite(value)]
    low, high = max(-0.5, min([bound, *ends])), min(2.0, max([1.0, *ends]))
    room = 0.06 * (high - low)
    axes.set_xlim(low - room, high + 3 * room)
    for place, one in enumerate(lines):
        if not np.isfinite(one.kept.value):
            continue
        colour = COLOURS[WORD_COLOURS.get(one.word, "text")]
        if one.kept.has_interval:
            axes.hlines(place, *np.clip([one.kept.low, one.kept.high], low - 1, high + 1), color=colour, linewidth=1.4)
        face = "white" if one.hollow else colour
        axes.plot(
            one.kept.value, place, one.marker, markersize=5, markerfacecolor=face, markeredgecolor=colour, zorder=3
        )
        sign = SIGNS.get(one.word, "")
        axes.text(high + 2.4 * room, place, sign, ha="center", va="center", fontsize=8, color=colour)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))


def _costs(axes: Axes, values: list[float], form: str) -> None:
    """Draw a cost of every line that has one."""
    known = [value for value in values if np.isfinite(value)]
    most = max(known, default=1.0)
    axes.set_xlim(0, 1.35 * most)
    for place, value in enumerate(values):
        if np.isfinite(value):
            axes.barh(place, value, height=0.5, color=COLOURS["absent"], edgecolor=COLOURS["muted"], linewidth=0.5)
            axes.text(value + 0.03 * most, place, form.format(value), va="center", fontsize=6.5)
    axes.tick_params(axis="y", length=0)
