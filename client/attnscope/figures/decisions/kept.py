"""Figure of the gain kept against the tokens kept, the chosen arm marked; below, the departures of raced arms."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnscope.figures.decisions.words import SHADES, caption_of_card
from attnscope.figures.look import Picture, styled
from attnscope.figures.style import COLOURS, finish, refuse
from attnscope_storage.wire.specifications.decisions import DecisionCard

LABEL: Final = 30
"""Characters of an arm's name in the picture."""


def kept_by_tokens(card: DecisionCard) -> Figure:
    """Return what each judged arm keeps against its tokens, and the departures of the arms that raced."""
    title = f"Kept against tokens · {card.checkpoint_name} · decision {card.job[:8]}"
    departing = [arm for arm in card.arms if arm.departures_per_episode is not None]
    with styled():
        if not card.rungs:
            figure = Picture(figsize=(5, 2.4), layout="constrained")
            refuse(figure.subplots(), "no arm was judged")
            return finish(figure, title, caption_of_card(card))
        rows = 2 if departing else 1
        figure = Picture(figsize=(5.4, 2.2 + 1.6 * rows), layout="constrained")
        panels = figure.subplots(rows, 1, squeeze=False, sharex=True, height_ratios=[3, 2][:rows])[:, 0]
        draw_kept(panels[0], card)
        if departing:
            draw_departures(panels[1], card)
        ring = "; ring: the answer" if card.chosen is not None else ""
        panels[-1].set_xlabel(f"history tokens kept, at most{ring}")
        return finish(figure, title, caption_of_card(card))


def draw_kept(axes: Axes, card: DecisionCard) -> Axes:
    """Draw every judged arm's kept share with its repeated interval; a ring marks the chosen one."""
    axes.axhline(1 - card.margin, color=COLOURS["text"], linewidth=0.8, linestyle="--", gid="border")
    axes.axhline(1, color=COLOURS["muted"], linewidth=0.6)
    for value, word in ((1 - card.margin, "1 − margin"), (1.0, "uncompressed")):
        axes.annotate(
            word, (0.995, value), xycoords=("axes fraction", "data"), xytext=(0, 2), textcoords="offset points",
            ha="right", fontsize=6, color=COLOURS["muted"],
        )  # fmt: skip
    points = [rung.kept for rung in card.rungs if np.isfinite(rung.kept)] or [1.0]
    ends = [end for rung in card.rungs for end in (rung.low, rung.high) if np.isfinite(end)]
    near = [end for end in ends if min(points) - 1 <= end <= max(points) + 1]
    low, high = min([*points, *near, 1 - 2 * card.margin]), max([*points, *near, 1 + card.margin])
    room = 0.08 * (high - low)
    low, high = low - room, high + room
    for rung in card.rungs:
        colour = SHADES.get(rung.verdict, COLOURS["muted"])
        bounds = np.clip(np.nan_to_num([rung.low, rung.high], nan=low, neginf=low, posinf=high), low, high)
        axes.plot([rung.tokens] * 2, bounds, color=colour, linewidth=1.8, solid_capstyle="butt")
        axes.plot([rung.tokens], [rung.kept], "o", color=colour, markersize=5, gid="rung")
        if card.chosen is not None and rung.arm == card.chosen.name:
            axes.plot([rung.tokens], [rung.kept], "o", markersize=11, fillstyle="none", color=colour, gid="chosen")
        name = rung.arm if len(rung.arm) <= LABEL else f"{rung.arm[: LABEL - 1]}…"
        axes.annotate(
            f"{name}\n{rung.verdict}", (rung.tokens, rung.kept), xytext=(9, 3), textcoords="offset points",
            fontsize=6.5, va="bottom", color=COLOURS["text"],
        )  # fmt: skip
    widest = max(rung.tokens for rung in card.rungs)
    axes.set_xlim(0, 1.45 * max([widest, *(arm.tokens for arm in card.arms)]))
    axes.set_ylim(low, high)
    axes.set_ylabel("share of the gain kept")
    return axes


def draw_departures(axes: Axes, card: DecisionCard) -> Axes:
    """Draw departures an episode of the arms that raced, as they were screened; a ring marks the chosen one."""
    for arm in card.arms:
        if arm.departures_per_episode is None:
            continue
        axes.plot([arm.tokens], [arm.departures_per_episode], ".", color=COLOURS["muted"], markersize=5, gid="raced")
        if card.chosen is not None and arm.name == card.chosen.name:
            axes.plot(
                [arm.tokens], [arm.departures_per_episode], "o", markersize=9, fillstyle="none",
                color=SHADES["non-inferior"], gid="chosen",
            )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.set_ylabel("departs an episode")
    return axes
