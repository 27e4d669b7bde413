"""Predicted against measured: what attention says a condition keeps, and what it really keeps."""

from __future__ import annotations

from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from attnscope.figures.look import Picture, styled
from attnscope.figures.style import COLOURS, finish
from attnscope.figures.trials.words import BLIND, MARKERS, caption_of_trial, title_of_trial
from attnscope.measures.intervals import Estimate
from attnscope.recommendations.attention.predictions import BUDGET_ONLY, Prediction
from attnscope.recommendations.attention.scoring import PredictionScore
from attnscope.trials.board import Board

SHORT: Final = {
    "retained": "attention retained",
    "represented": "…, pooled counted whole",
    "excess": "… beyond uniform",
    "skill": "… as share of the possible",
    "worst_head": "… by the worst head",
    "tokens": "tokens kept",
    "kl": "KL on the same histories",
}
"""The name of a predictor beside its bar."""


def predicted(board: Board, found: list[Prediction], score: PredictionScore) -> Figure:
    """Return the figure: every condition on the left, what each predictor is worth on the right."""
    with styled():
        figure = Picture(figsize=(9.0, 3.9), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        _conditions(left, board, found)
        _predictors(right, score)
        refused = f"; without a prediction: {', '.join(score.refused)}" if score.refused else ""
        caption = (
            f"{caption_of_trial(board)}\npredictions from a capture; bars: 95 %, resampling {score.strategies} "
            f"strategies, each with all its budgets{refused}"
        )
        return finish(figure, title_of_trial(board, "Predicted against measured"), caption)


def _conditions(axes: Axes, board: Board, found: list[Prediction]) -> Axes:
    rows = [board.rows[one.condition] for one in found]
    budgets = sorted({str(row.condition.budget): row.share.value for row in rows}.items(), key=lambda one: one[1])
    shades = mpl.colormaps["viridis"](np.linspace(0.9, 0.1, len(budgets)))
    colours = {name: shade for (name, _), shade in zip(budgets, shades, strict=True)}
    for name, _ in budgets:
        of = [index for index, row in enumerate(rows) if str(row.condition.budget) == name]
        budget = rows[of[0]].condition.budget
        label = f"{budget:.0%}" if isinstance(budget, float) else f"{budget} transitions"
        axes.plot([], [], "o", color=colours[name], markersize=4, label=label)
        for index in of:
            row = rows[index]
            face = "none" if row.condition.strategy in BLIND else colours[name]
            at = (1 - found[index].costs["retained"], row.verdict.kept.value)
            axes.plot(
                *at, MARKERS[row.condition.positions], markersize=4, markerfacecolor=face,
                markeredgecolor=colours[name],
            )  # fmt: skip
    axes.axhline(1, color=COLOURS["uniform"], linewidth=0.6)
    axes.set(xlabel="Attention retained (predicted)", ylabel="Gain kept (measured)")
    axes.set_title("Every condition (hollow: uniform and random)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(title="Budget", title_fontsize=7, loc="best")
    return axes


def _predictors(axes: Axes, score: PredictionScore) -> Axes:
    """Draw the rank correlation with the measured cost, within budgets and over all."""
    names = [name for name in SHORT if name in score.of_return]
    for line, name in enumerate(names):
        of = score.of_return[name]
        _bar(axes, of.within, line - 0.14, COLOURS["first"], "within budgets, pooled" if line == 0 else "")
        _bar(axes, of.overall, line + 0.14, COLOURS["muted"], "over all conditions" if line == 0 else "")
    axes.axvline(0, color=COLOURS["uniform"], linewidth=0.6)
    if np.isfinite(score.ceiling):
        axes.axvline(score.ceiling, color=COLOURS["third"], linewidth=1, linestyle="--", label="ceiling within (noise)")
    axes.set(yticks=range(len(names)), xlim=(-1.02, 1.02), xlabel="Rank correlation with what is lost")
    axes.set_yticklabels([SHORT[name] + (" (budget only)" if name == BUDGET_ONLY else "") for name in names])
    axes.invert_yaxis()
    axes.set_title("What each predictor is worth")
    axes.legend(loc="lower left", handlelength=1.2)
    return axes


def _bar(axes: Axes, estimate: Estimate, line: float, colour: str, label: str) -> None:
    if not np.isfinite(estimate.value):
        axes.text(0, line, "not defined: nothing varies", fontsize=6, va="center", color=COLOURS["muted"])
        return
    if estimate.has_interval:
        axes.hlines(line, estimate.low, estimate.high, color=colour, linewidth=1.2)
    axes.plot(estimate.value, line, "o", color=colour, markersize=4, label=label or None)
