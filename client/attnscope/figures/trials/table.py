"""Table of the share of the baseline's gain that is kept, strategy × budget, with the verdict in every cell."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from attnscope.figures.look import Picture, styled
from attnscope.figures.style import COLOURS, finish, hatch
from attnscope.figures.trials.arms import trial_arms
from attnscope.figures.trials.curves import trial_curves
from attnscope.figures.trials.words import (
    BLIND,
    SIGNS,
    caption_of_trial,
    positions_of,
    strategies_of,
    title_of_trial,
)
from attnscope.trials.board import Board, board
from attnscope.trials.results import TrialResults
from attnscope.trials.row import Row

PALETTE = "RdBu"
"""Of what is kept: white at the bound, blue above, red below."""

DARK = 0.28
"""Distance from the middle of the colour range from which on text is white."""


def trial_picture(results: TrialResults) -> Figure:
    """Return the figure that a cell shows of a trial: its arms, the gain kept by strategy and budget, or its curves."""
    measured = board(results)
    if results.has_arms:
        return trial_arms(measured)
    if any(row.condition.budget is not None for row in measured.rows):
        return trial_table(measured)
    return trial_curves(measured, positions_of(measured)[0])


def trial_table(board: Board) -> Figure:
    """Return the heat table, a panel a position policy; strategies from the one that keeps most on average."""
    positions = positions_of(board)
    budgets = _budgets(board)
    everything = strategies_of(board.rows)
    names = sorted(
        (name for name in everything if everything[name][0].condition.budget is not None),
        key=lambda name: (name in BLIND, -float(np.mean([row.verdict.kept.value for row in everything[name]]))),
    )
    # A masked context is an oracle whatever the strategy, which its panel's title says.
    oracles = [name for name in names if any(_sees_all(row) for row in everything[name])]
    labels = [f"{name} °" if name in oracles else name for name in names]
    bound = 1 - board.results.spec.margin
    norm = TwoSlopeNorm(bound, 0.0, max(1.05, 2 * bound - 0.75))
    with styled():
        width = 1.9 + len(positions) * (0.35 + 0.47 * max(2, len(budgets))) + 0.7
        figure = Picture(figsize=(max(6.2, width), 0.215 * len(names) + 1.35), layout="constrained")
        panels = figure.subplots(1, len(positions), sharey=True, squeeze=False)[0]
        for axes, policy in zip(panels, positions, strict=True):
            rows = tuple(row for row in board.rows if row.condition.index == 0 or row.condition.positions == policy)
            _panel(axes, strategies_of(rows), names, labels, budgets, norm)
            axes.set_title(policy + (" (an oracle)" if policy == "mask" else ""))
        scale = figure.colorbar(ScalarMappable(norm, PALETTE), ax=panels, pad=0.01, aspect=30, fraction=0.05)
        scale.ax.set_yscale("linear")
        scale.set_label("gain kept\n(white: the bound)")
        scale.ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        return finish(figure, title_of_trial(board, "Gain kept"), caption_of_trial(board) + _key(board))


def _panel(
    axes: Axes,
    found: dict[str, list[Row]],
    names: list[str],
    labels: list[str],
    budgets: list[int | float],
    norm: TwoSlopeNorm,
) -> Axes:
    values = np.full((len(names), len(budgets)), np.nan)
    hatch(axes)
    for line, name in enumerate(names):
        for row in found.get(name, []):
            if row.condition.budget not in budgets:
                continue
            column = budgets.index(row.condition.budget)
            kept = row.verdict.kept.value
            values[line, column] = kept
            dark = np.isfinite(kept) and abs(float(norm(kept)) - 0.5) > DARK
            text = f"{kept:.2f}{SIGNS[row.verdict.word]}"
            axes.text(
                column, line, text, ha="center", va="center", fontsize=6, color="white" if dark else COLOURS["text"]
            )
    axes.imshow(np.ma.masked_invalid(values), cmap=PALETTE, norm=norm, aspect="auto")
    axes.set(xticks=range(len(budgets)), yticks=range(len(names)), xlabel="Budget")
    axes.set_xticklabels([f"{one:.0%}" if isinstance(one, float) else str(one) for one in budgets])
    axes.set_yticklabels(labels, fontsize=6.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    blind = sum(name not in BLIND for name in names)
    if 0 < blind < len(names):
        axes.axhline(blind - 0.5, color="white", linewidth=2)
    return axes


def _sees_all(row: Row) -> bool:
    return row.condition.oracle and row.condition.positions != "mask"


def _budgets(board: Board) -> list[int | float]:
    found = {row.condition.budget for row in board.rows[1:] if row.condition.budget is not None}
    return sorted(found, key=lambda one: (isinstance(one, float), one))


def _key(board: Board) -> str:
    oracle = "; ° oracle" if any(row.condition.oracle for row in board.rows) else ""
    return f"\n✓ non-inferior at a margin of {board.results.spec.margin:.0%}; ✗ inferior; ? inconclusive{oracle}"
