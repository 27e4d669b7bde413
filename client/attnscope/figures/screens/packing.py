"""Departure by the age of the compression and by generation, of a policy that packs its history."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnscope.figures.look import Picture, styled
from attnscope.figures.screens.words import subject
from attnscope.figures.style import BAND, COLOURS, SERIES, finish, refuse
from attnscope.measures.intervals import Interval
from attnscope.screens.board import name_of
from attnscope.screens.packing import LAST_GENERATION, PackedArm, packed_arms
from attnscope.screens.results import ScreenResults
from attnscope.screens.wording import budget_words, departure_words

TITLE: Final = "Departure of a policy that packs its history, after each compression"
NOTHING: Final = "no judged decision follows a compression"
LINES: Final = 6
"""Arms that are drawn, at most: own ways to pack, then the newest transitions alone."""


def compared(results: ScreenResults) -> list[PackedArm]:
    """Return the arms that are drawn: own ways to pack, and beside them plain recency under its first positions."""
    every = packed_arms(results)
    plain = [one for one in every if one.arm.strategy == "recency"]
    first = [one for one in plain if one.arm.positions == plain[0].arm.positions]
    return [*(one for one in every if one.packs), *first][:LINES]


def label_of(one: PackedArm) -> str:
    """Return an arm's name in a legend."""
    return name_of(one.arm) + ("" if one.arm.budget is None else f" {budget_words(one.arm.budget)}")


def draw_line(axes: Axes, found: Interval, one: PackedArm, colour: str) -> Axes:
    """Draw the means of an arm at successive places, with their 95 % band; dashed where the arm packs nothing."""
    places = np.arange(len(found.value))
    axes.fill_between(places, found.low, found.high, color=colour, alpha=BAND, linewidth=0)
    axes.plot(places, found.value, ".-" if one.packs else ".--", color=colour, label=label_of(one), markersize=4)
    return axes


def departure_by_compression(results: ScreenResults) -> Figure:
    """Return departures from the same weights over a sliding window, by age of the compression and by generation."""
    arms = compared(results)
    with styled():
        figure = Picture(figsize=(9.2, 3.4), layout="constrained")
        if not arms:
            refuse(figure.subplots(), NOTHING)
            return finish(figure, TITLE, subject(results))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.4, 1))
        for one, colour in zip(arms, SERIES, strict=False):
            draw_line(left, one.by_age, one, colour)
            draw_line(right, one.by_generation, one, colour)
        bands = max((one.bands for one in arms), key=len)
        left.set_xticks(range(len(bands)), [f"{a}" if a == b else f"{a}–{b}" for a, b in bands])
        left.axvline(0, color=COLOURS["text"], linewidth=0.6, linestyle=":", zorder=0)
        label = departure_words(results.policy.output).axis
        left.set(xlabel="transitions since the compression (0 = right after)", ylabel=label)
        left.set_title("By age of the compression")
        several = max((one.generations for one in arms), key=len)
        names = [f"{one}+" if one == LAST_GENERATION else str(one) for one in several]
        right.set_xticks(range(len(several)), names)
        right.set(xlabel="compressions so far", title="By generation")
        left.set_ylim(bottom=0)
        lines, names = left.get_legend_handles_labels()
        figure.legend(lines, names, loc="outside right upper")
        return finish(figure, TITLE, subject(results))
