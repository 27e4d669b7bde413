"""The picture that guides: attention, leave-one-out and departure on one axis of ages; where attention misleads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from attnscope.figures.look import Picture, styled
from attnscope.figures.screens.ages import NOTHING, age_axis, draw_bands
from attnscope.figures.screens.words import subject
from attnscope.figures.style import COLOURS, finish, refuse
from attnscope.screens.ages import Ages, Misleads, ages_of
from attnscope.screens.results import ScreenResults

MARKS: Final[dict[Misleads, str]] = {
    "seen, hardly used": COLOURS["fifth"],
    "used, hardly seen": COLOURS["fourth"],
}
"""Colours of the bands in which attention misleads."""

TITLE: Final = "Which ages the policy looks at, and which ages its actions depend on"


def draw_marks(axes: Axes, bands: Sequence[tuple[int, int]], misleads: Sequence[Misleads | None]) -> list[Patch]:
    """Shade the bands in which attention misleads; return what a legend shows of them."""
    for (first, last), how in zip(bands, misleads, strict=True):
        if how is not None:
            axes.axvspan(first - 0.5, last + 0.5, color=MARKS[how], alpha=0.25, linewidth=0, zorder=0, gid=how)
    seen: dict[Misleads, None] = dict.fromkeys(how for how in misleads if how is not None)
    return [Patch(color=MARKS[how], alpha=0.25, label=how) for how in seen]


def draw_guide(axes: Axes, ages: Ages) -> Axes:
    """Draw each band's share of attention, of leave-one-out and of departures."""
    if ages.seen is not None:
        draw_bands(axes, ages.bands, ages.seen, COLOURS["second"], "attention")
    draw_bands(axes, ages.bands, ages.used_singly, COLOURS["third"], "leave one out")
    draw_bands(axes, ages.bands, ages.used, COLOURS["first"], "departure without the band")
    age_axis(axes, ages.bands)
    marks = draw_marks(axes, ages.bands, ages.misleads)
    lines, _ = axes.get_legend_handles_labels()
    axes.legend(handles=[*lines, *marks], loc="upper left", ncols=2)
    top = max(float(np.nanmax(one.high)) for one in (ages.used, ages.used_singly, ages.seen) if one is not None)
    axes.set_ylim(0, 1.45 * top if np.isfinite(top) and top > 0 else 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylabel("share of all bands")
    return axes


def guide(results: ScreenResults) -> Figure:
    """Return the picture that guides, of a screen that left out parts by age.

    Attention is what decisions give to a band of ages, over what they give to all history. Leave-one-out is the
    departure without one transition × the transitions of the band. All three are shares of their sums over bands.
    """
    ages = ages_of(results)
    with styled():
        figure = Picture(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        if ages is None:
            refuse(axes, NOTHING)
            return finish(figure, TITLE, subject(results))
        draw_guide(axes, ages)
        if ages.seen is None:
            axes.set_title("attention was not stored")
        return finish(figure, TITLE, subject(results))
