"""The ladder as the picture of a sequential test: each judged arm at its looks, beside the border between verdicts."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnscope.decisions.columns import Column, columns, limits
from attnscope.figures.decisions.words import SHADES, caption_of_card
from attnscope.figures.look import Picture, styled
from attnscope.figures.style import COLOURS, finish, fold, refuse
from attnscope_storage.wire.specifications.decisions import DecisionCard

TITLE_POINTS: Final = 7.0


def ladder(card: DecisionCard) -> Figure:
    """Return a column an arm: kept share with its repeated interval at every look, and the score beside its bounds.

    The repeated interval is that of the bounds of its look, so that a verdict is what the interval says: the arm is
    non-inferior where all of it lies above 1 − margin, inferior where all of it lies below. A card without looks is
    drawn with the last look of each arm.
    """
    shown = columns(card)
    title = f"The ladder and its looks · {card.checkpoint_name} · decision {card.job[:8]}"
    with styled():
        if not shown:
            figure = Picture(figsize=(5, 2.4), layout="constrained")
            refuse(figure.subplots(), "no arm was judged")
            return finish(figure, title, caption_of_card(card))
        scored = bool(shown[0].looks)
        figure = Picture(figsize=(1.2 + 2.1 * len(shown), 4.4 if scored else 2.9), layout="constrained")
        rows = 2 if scored else 1
        panels = figure.subplots(rows, len(shown), squeeze=False, sharey="row", height_ratios=[3, 2][:rows])
        panels[0, 0].set_ylim(*limits(shown, card.margin))
        for index, column in enumerate(shown):
            draw_looks(panels[0, index], column, card.margin)
            panels[0, index].set_title(fold(f"{index + 1}. {column.arm}", 2.0, TITLE_POINTS), fontsize=TITLE_POINTS)
            if scored:
                draw_scores(panels[1, index], column)
            panels[-1, index].set_xlabel(column.unit)
        panels[0, 0].set_ylabel("share of the gain kept")
        panels[0, 0].annotate(
            "1 − margin", (0.02, 1 - card.margin), xycoords=("axes fraction", "data"), xytext=(0, -2),
            textcoords="offset points", va="top", fontsize=6,
        )  # fmt: skip
        if scored:
            panels[1, 0].set_ylabel("score (z)")
            panels[1, 0].legend(loc="best", fontsize=6, frameon=True, framealpha=0.8, edgecolor="none")
        return finish(figure, title, caption_of_card(card))


def draw_looks(axes: Axes, column: Column, margin: float) -> Axes:
    """Draw the kept share of one arm at each look with its repeated interval, over the two sides of 1 − margin."""
    low, high = axes.get_ylim()
    looks = column.shown
    border = 1 - margin
    axes.axhspan(border, high, color=SHADES["non-inferior"], alpha=0.07, linewidth=0)
    axes.axhspan(low, border, color=SHADES["inferior"], alpha=0.07, linewidth=0)
    axes.axhline(border, color=COLOURS["text"], linewidth=0.8, linestyle="--", gid="border")
    for index, look in enumerate(looks):
        ends = np.clip(np.nan_to_num([look.low, look.high], nan=low, neginf=low, posinf=high), low, high)
        colour = SHADES.get(look.verdict, COLOURS["muted"])
        axes.plot([index, index], ends, color=colour, linewidth=2.2, solid_capstyle="butt", gid="interval")
        if np.isfinite(look.kept):
            axes.plot([index], [np.clip(look.kept, low, high)], "o", color=colour, markersize=4.5, gid="kept")
    axes.annotate(
        looks[-1].verdict, (0.97, 0.03), xycoords="axes fraction", ha="right", fontsize=7,
        color=SHADES.get(looks[-1].verdict, COLOURS["muted"]),
    )  # fmt: skip
    axes.set_ylim(low, high)
    return _at_looks(axes, column)


def draw_scores(axes: Axes, column: Column) -> Axes:
    """Draw the score of one arm at each look between the bounds of that look."""
    looks = column.looks
    place = np.arange(len(looks))
    safe = np.array([look.safe if look.may_be_safe else np.nan for look in looks])
    axes.plot(place, safe, "v-", color=SHADES["non-inferior"], markersize=4, linewidth=0.9, label="non-inferior above")
    harm = np.array([-look.harm for look in looks])
    axes.plot(place, harm, "^-", color=SHADES["inferior"], markersize=4, linewidth=0.9, label="inferior below")
    score = np.array([look.score for look in looks], np.float64)
    axes.plot(place, score, "o-", color=COLOURS["text"], markersize=4, linewidth=0.9, label="score", gid="score")
    axes.axhline(0, color=COLOURS["muted"], linewidth=0.6)
    return _at_looks(axes, column)


def _at_looks(axes: Axes, column: Column) -> Axes:
    """Name each look by its sample."""
    axes.set_xticks(range(len(column.samples)), column.samples)
    axes.set_xlim(-0.5, len(column.samples) - 0.5)
    return axes
