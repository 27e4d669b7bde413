"""The card of a decision as a picture: the answer above, the judged rungs with their intervals below."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnscope.decisions.wording import card_facts, own_command
from attnscope.figures.look import Picture, styled
from attnscope.figures.style import COLOURS, finish, fold, refuse
from attnscope_storage.wire.specifications.cards import CardRung, DecisionCard

WIDTH: Final = 6.4
"""Inches."""

TEXT_POINTS: Final = 7.5

MOST_RUNGS: Final = 24
"""Rungs that are drawn, at most; a decision has nine."""

NAME_INCHES: Final = 1.8
"""Width of an arm's name beside the axes."""

MOST_NAMED: Final = 60
"""Characters of an arm's name that are drawn, at most."""

LONGEST: Final = 1_000
"""Characters of a line that are drawn, at most: a service sends cards too, and a picture's size follows from them."""

LINE: Final = 0.145
"""Inches from one line of text to the next."""

SHOWN: Final = frozenset({"policy", "scope", "cost", "speed", "memory"})
"""Facts that the picture tells; the rungs are drawn."""

SHADES: Final = {"non-inferior": COLOURS["third"], "inferior": COLOURS["second"], "undecided": COLOURS["muted"]}
"""Colours of verdicts."""


def _one_line(text: str) -> str:
    """Return a text of a card as it is drawn."""
    return " ".join(text[:LONGEST].split())


def _named(arm: str) -> str:
    """Return an arm's name on lines that leave the axes most of the width."""
    return fold(_one_line(arm)[:MOST_NAMED], NAME_INCHES, TEXT_POINTS)


def draw_rungs(axes: Axes, rungs: tuple[CardRung, ...], margin: float) -> Axes:
    """Draw the kept share of every judged rung with its repeated interval, and the border between verdicts."""
    if not rungs:
        return refuse(axes, "No arm was judged.")
    axes.axvline(1 - margin, color=COLOURS["deciding"], linewidth=0.8, linestyle="--")
    axes.axvline(1, color=COLOURS["muted"], linewidth=0.6)
    finite = [one for rung in rungs for one in (rung.low, rung.kept, rung.high) if np.isfinite(one)]
    low, high = min([*finite, 1 - 2 * margin]), max([*finite, 1 + margin])
    for index, rung in enumerate(rungs):
        colour = SHADES.get(rung.verdict, COLOURS["muted"])
        ends = np.clip(np.nan_to_num([rung.low, rung.high], nan=low, neginf=low, posinf=high), low, high)
        axes.plot(ends, [index, index], color=colour, linewidth=2.0)
        axes.plot([rung.kept], [index], "o", color=colour, markersize=4)
    axes.set_yticks(
        range(len(rungs)),
        [f"{_named(rung.arm)}\n{_one_line(rung.verdict)[:MOST_NAMED]}" for rung in rungs],
    )
    axes.set_ylim(len(rungs) - 0.5, -0.5)
    axes.set_xlabel("kept share of the gain, with the repeated interval")
    return axes


def decision_card(card: DecisionCard) -> Figure:
    """Return the card as a figure."""
    lead = [
        f"{word}: {text}" for word, text in card_facts(card) if word in {"policy", "scope", "cost", "speed", "memory"}
    ]
    lines = [fold(_one_line(line), 0.96 * WIDTH, TEXT_POINTS) for line in (card.sentence or "No answer yet.", *lead)]
    rungs, shown = card.rungs[:MOST_RUNGS], "\n".join(lines)
    heights = [LINE * (shown.count("\n") + 1) + 0.1, 0.7 + 0.45 * max(1, len(rungs))]
    with styled():
        figure = Picture(figsize=(WIDTH, 0.65 + sum(heights)), layout="constrained")
        above, below = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
        above.text(0.015, 0.98, shown, va="top", fontsize=TEXT_POINTS, color=COLOURS["text"], linespacing=1.3)
        draw_rungs(below.subplots(), rungs, card.margin)
        decided = card.answer or "not decided"
        title = _one_line(f"{card.checkpoint_name}: {decided}" + (f" {card.chosen.name}" if card.chosen else ""))
        return finish(
            figure,
            title,
            _one_line(f"attnscope decision {card.job}; ladder {card.ladder[:12] or 'none'}; {own_command(card)}"),
        )
