"""Departure by the age of what is left out: bands of ages, single transitions, and whole episodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from attnscope.figures.look import Picture, styled
from attnscope.figures.screens.words import subject
from attnscope.figures.style import BAND, COLOURS, finish, refuse
from attnscope.measures.intervals import Interval
from attnscope.screens.ages import ages_of
from attnscope.screens.results import ScreenResults
from attnscope.screens.wording import departure_words

NOTHING = "no part by age was left out: screen with --ages"


def age_axis(axes: Axes, bands: Sequence[tuple[int, int]]) -> Axes:
    """Make the horizontal axis one of ages, logarithmic, from the newest transition to the oldest of a full context."""
    oldest = bands[-1][1]
    axes.set_xscale("log")
    axes.set_xlim(0.5, oldest + 0.5)
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if tick <= oldest]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("age in transitions (1 = newest)")
    return axes


def draw_bands(axes: Axes, bands: Sequence[tuple[int, int]], found: Interval, colour: str, label: str) -> Axes:
    """Draw a number for every band of ages as a step as wide as the band, with its interval."""
    edges = np.array([bands[0][0] - 0.5, *(last + 0.5 for _, last in bands)])
    axes.stairs(found.value, edges, color=colour, label=label, baseline=None, linewidth=1.2)
    low, high = (np.nan_to_num(end, nan=0.0) for end in (found.low, found.high))
    axes.stairs(high, edges, baseline=low, fill=True, color=colour, alpha=BAND, linewidth=0)
    return axes


def draw_episodes(axes: Axes, found: Interval, label: str) -> Axes:
    """Draw the departure without each episode, the decision's own first."""
    known = np.flatnonzero(np.isfinite(found.value))
    value = found.value[known]
    spread = np.nan_to_num(np.stack([value - found.low[known], found.high[known] - value]))
    axes.bar(known, value, color=COLOURS["first"], alpha=0.75, width=0.7)
    axes.errorbar(known, value, yerr=np.maximum(spread, 0), fmt="none", ecolor=COLOURS["text"], elinewidth=0.8)
    axes.set_xticks(known, ["own" if back == 0 else str(back) for back in known])
    axes.set(xlabel="episode left out, counted back", ylabel=label, title="Without one episode")
    return axes


def departure_by_age(results: ScreenResults) -> Figure:
    """Return departures without bands of ages and single transitions, and beside them without whole episodes."""
    ages, title = ages_of(results), "Departure of a live decision, by what is left out"
    with styled():
        figure = Picture(figsize=(8.2, 3.2), layout="constrained")
        if ages is None:
            refuse(figure.subplots(), NOTHING)
            return finish(figure, title, subject(results))
        label = departure_words(results.policy.output).axis
        left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
        draw_bands(left, ages.bands, ages.departure, COLOURS["first"], "without all of that age")
        draw_bands(left, ages.bands, ages.single, COLOURS["second"], "without one of that age")
        age_axis(left, ages.bands)
        left.set(ylabel=label, title="Without a band of ages")
        left.legend()
        draw_episodes(right, ages.episodes, label)
        for axes in (left, right):
            axes.set_ylim(bottom=0)
        return finish(figure, title, subject(results))
