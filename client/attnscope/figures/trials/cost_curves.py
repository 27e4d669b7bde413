"""Figure of the attention that each head loses when fewer tokens are kept."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator

from attnscope.figures.look import Picture, styled
from attnscope.figures.style import COLOURS, finish, refuse
from attnscope.reading.blocks import BUDGETS
from attnscope.reading.reduced import between_shares
from attnscope.study import Study
from attnscope.study.captions import caption_of_study, title_of

CURVES = {
    "own": ("each head its own best", COLOURS["third"]),
    "shared": ("the same best for all heads", COLOURS["first"]),
    "newest": ("the newest", COLOURS["second"]),
}
"""Ways to choose, the most free first."""

Curves = Mapping[str, Float[np.ndarray, "layer head budget"]]

TICKS = (0, 0.5, 1)
"""Few, so that neighbouring panels' numbers stay apart."""


def draw_cost(
    axes: Axes,
    budgets: Float[np.ndarray, " budget"],
    retained: dict[str, Float[np.ndarray, " budget"]],
    blind: Float[np.ndarray, " budget"],
) -> Axes:
    """Draw the attention lost against the share of the history kept, by way to choose; dashed, a blind choice."""
    for name, curve in retained.items():
        label, colour = CURVES[name]
        axes.plot(budgets, 1 - curve, color=colour, linewidth=1.0, label=label, gid=name)
    axes.plot(budgets, 1 - blind, "--", color=COLOURS["uniform"], linewidth=0.8, label="a blind choice", gid="blind")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(TICKS))
        axis.set_major_formatter(FormatStrFormatter("%g"))
    return axes


def cost_curves(study: Study) -> Figure:
    """Return a panel a layer and head on shared axes."""
    with styled():
        found = _curves(study)
        if found is None:
            figure = Picture(figsize=(5, 3), layout="constrained")
            refuse(figure.subplots(), "decision rows were not captured")
            return finish(figure, title_of(study, "Cost of keeping fewer tokens"), caption_of_study(study))
        curves, blind = found
        layers, heads = curves["own"].shape[:2]
        panels = 1.5 * heads
        width, height = max(4.5, 0.5 + panels + 1.75), 0.45 + 1.4 * layers + 0.75
        figure = Picture(figsize=(width, height))
        sides = {"left": 0.5 / width, "right": (0.5 + panels) / width, "bottom": 0.8 / height, "top": 1 - 0.5 / height}
        between = {**sides, "wspace": 0.12, "hspace": 0.22}
        grid = figure.subplots(layers, heads, squeeze=False, gridspec_kw=between)
        for (layer, head), axes in np.ndenumerate(grid):
            retained = {name: curve[layer, head] for name, curve in curves.items()}
            draw_cost(axes, np.asarray(BUDGETS), retained, blind[layer, head])
            axes.set_title(f"layer {layer}, head {head}", pad=2)
        for axes in grid[-1]:
            axes.set_xlabel("History kept (share)")
        for axes in grid[:, 0]:
            axes.set_ylabel("Attention lost")
        for axis in [*(axes.xaxis for axes in grid[:-1].flat), *(axes.yaxis for axes in grid[:, 1:].flat)]:
            axis.set_major_locator(NullLocator())  # that of the outer panels counts for all
        handles, labels = grid[0, 0].get_legend_handles_labels()
        corner = ((0.55 + panels) / width, 1 - 0.5 / height)
        figure.legend(handles, labels, loc="upper left", bbox_to_anchor=corner, title="kept", alignment="left")
        return finish(figure, title_of(study, "Cost of keeping fewer tokens"), caption_of_study(study))


def _curves(study: Study) -> tuple[Curves, Float[np.ndarray, "layer head budget"]] | None:
    """Return the mass retained by each way to choose, and by a blind choice; None where nothing tells it.

    Without rows a stored retained-mass curve tells the first way. A blind choice keeps the mass of the query's own
    token, and of the rest as large a share as it keeps of the history.
    """
    if study.tally is not None and study.head_profile is not None:
        curves, alone = study.tally.cost_curves(), study.head_profile[..., :1]
    elif (stored := study.reading.curve) is not None:
        curves, alone = {"own": study.mean(between_shares(stored, len(BUDGETS)))}, study.mean(stored[..., :1])
    else:
        return None
    return curves, np.asarray(alone + (1 - alone) * np.asarray(BUDGETS))
