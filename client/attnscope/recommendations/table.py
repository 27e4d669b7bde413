"""The one table of advice: a row a rule, those that can be deployed first, oracles apart as bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from attnscope.measures.intervals import Estimate
from attnscope.recommendations.claims import UNRELIABLE
from attnscope.recommendations.results import MeasuredTrial, Recommendation
from attnscope.recommendations.screened import Best, budget_words
from attnscope.screens.wording import departure_words
from attnscope_storage.wire import OutputDescription

MOST: Final = 24
"""Rows of the table, at most: an installation may have many rules, and JSON has them all."""

SCREENED: Final = ("signed", "bound", "attention", "measured")
"""Columns behind those of departures, whose names are those of the policy's head."""
ATTENDED: Final = ("rule", "transitions kept", "attention on them", "evenly spaced", "of possible gain", "measured")

SCREEN_TITLE: Final = "RULES THAT COULD BE DEPLOYED, each at its best count and positions; least departures first"
SCREEN_UNORDERED: Final = "RULES THAT COULD BE DEPLOYED, in no order"
SCREEN_KEY: Final = (
    " signed: leaving what the policy prefers, where reward follows. attention: share of it on what is kept."
)
SCREEN_BOUND: Final = " bound: {} of the same rule choosing before every decision, which saves nothing."
"""Key of a column that only a screen with oracles has."""
DECIDED: Final = "The screen ordered these rules; rollouts decided, so the answer above may be another rule."
ATTENTION_TITLE: Final = "RULES THAT COULD BE DEPLOYED, by attention, of the possible gain; it predicts no cost"
ATTENTION_KEY: Final = (
    "evenly spaced: attention on as many of these. of possible gain: 0 chooses as well as they do, 1 as well as any "
    "choice of as many could; of rules that cannot be told apart the simplest stands first. † fewer than 10 rollouts "
    "a task: unreliable."
)
ATTENTION_UNORDERED: Final = "RULES THAT COULD BE DEPLOYED, in no order; attention predicts no cost"
ATTENTION_WHOLE: Final = "RULES BY THE ATTENTION ON WHAT THEY WOULD KEEP; none can be applied to this policy"
BOUNDS: Final = "bounds, never proposed: they look at the whole context before every decision, which saves nothing"


@dataclass(frozen=True)
class Table:
    """A table as cells; the text pads them."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bounds: tuple[tuple[str, ...], ...] = ()
    key: str = ""
    left: int = 0
    """Rows that are only in the JSON."""

    @property
    def empty(self) -> bool:
        """True where no rule is known of, as of a decision beside a capture without rows."""
        return not (self.rows or self.bounds)

    def shown(self) -> tuple[tuple[str, ...], list[tuple[str, ...]], list[tuple[str, ...]]]:
        """Return head, rows and bounds without the columns in which nothing is known."""
        every = [*self.rows, *self.bounds]
        keep = [place for place in range(len(self.head)) if any(row[place] not in {"", "–"} for row in every)]

        def kept(row: Sequence[str]) -> tuple[str, ...]:
            return tuple(row[place] for place in keep)

        return kept(self.head), [kept(row) for row in self.rows], [kept(row) for row in self.bounds]

    def lines(self) -> list[str]:
        """Return the table as text, its columns padded."""
        head, rows, bounds = self.shown()
        wide = [max(map(len, column)) for column in zip(head, *rows, *bounds, strict=True)]

        def padded(row: Sequence[str]) -> str:
            return "  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip()

        found = [self.title, padded(head), *map(padded, rows)]
        if bounds:
            found += [f"-- {BOUNDS}:", *map(padded, bounds)]
        return [*found, f"({self.left} more are in the JSON.)"] if self.left else found


def screen_table(
    best: Sequence[Best],
    trials: Sequence[MeasuredTrial],
    output: OutputDescription,
    *,
    ranked: bool,
    decided: bool = False,
) -> Table:
    """Return the table of a screen's deployable rules.

    Parameters
    ----------
    output
        The policy's head, which says what a departure is.
    decided
        True where the answer of a decision stands above the table.
    """
    order = sorted(best, key=lambda one: np.nan_to_num(one.row.per_episode, nan=np.inf)) if ranked else list(best)
    cells = tuple(_screened(one, _measured_of(one, trials)) for one in order[:MOST])
    title = SCREEN_TITLE if ranked else SCREEN_UNORDERED
    words = departure_words(output)
    bound = SCREEN_BOUND.format(words.column) if any(one.bound is not None for one in order[:MOST]) else ""
    verdict = f"{DECIDED} " if ranked and decided else ""
    head = ("rule", "keeps", "stands", "departs an episode", words.column, *SCREENED)
    key = f"{verdict}{words.legend}{SCREEN_KEY}{bound}"
    return Table(title, head, cells, key=key, left=max(0, len(order) - MOST))


def attention_table(
    found: Sequence[Recommendation], measured: Mapping[str, MeasuredTrial], *, ranked: bool, whole: bool = False
) -> Table:
    """Return the table of rules by retained attention, for a capture that nothing else is known of.

    Parameters
    ----------
    whole
        True where this policy's context cannot be shortened.
    """
    rules = [one for one in found if one.key != "none"]
    real, bounds = ([one for one in rules if one.oracle is kind] for kind in (False, True))
    room = max(0, MOST - len(real))
    rows, apart = (tuple(_attended(one, measured.get(one.key)) for one in of) for of in (real[:MOST], bounds[:room]))
    title = ATTENTION_WHOLE if whole else ATTENTION_TITLE if ranked else ATTENTION_UNORDERED
    budget = f", at {100 * rules[0].budget:g} % of the history" if rules else ""
    return Table(title + budget, ATTENDED, rows, apart, ATTENTION_KEY, len(rules) - len(rows) - len(apart))


def measured_cell(trial: MeasuredTrial | None) -> str:
    """Return what a trial measured of a rule; never a number that is not there."""
    if trial is None:
        return "–"
    kept = trial.kept
    if kept is None or not np.isfinite(kept.value):
        return "not judged"
    between = f" ({kept.low:.2f} to {kept.high:.2f})" if kept.has_interval else ""
    return f"{kept.value:.2f}{between} {trial.words}"


def _measured_of(one: Best, trials: Sequence[MeasuredTrial]) -> MeasuredTrial | None:
    spec = {"name": one.arm.strategy, **one.arm.parameters}
    same = [trial for trial in trials if trial.strategy == spec and trial.budget == one.row.budget]
    return next((trial for trial in same if trial.positions == one.row.positions), None)


def _screened(one: Best, trial: MeasuredTrial | None) -> tuple[str, ...]:
    row = one.row
    name = row.name + (f" (= {', '.join(one.same)})" if one.same else "")
    return (
        name,
        f"{budget_words(row.budget).strip() or 'as it finds'}: {row.tokens:.1f}",
        row.positions,
        f"{row.per_episode:.2f} ({row.per_episode_low:.2f} to {row.per_episode_high:.2f})",
        f"{row.tv_live:.3f}",
        f"{row.signed:+.3f}" if row.signed is not None and np.isfinite(row.signed) else "–",
        "–" if one.bound is None else f"{one.bound.tv_live:.3f}",
        "–" if row.retained is None or not np.isfinite(row.retained) else f"{row.retained:.0%}",
        measured_cell(trial),
    )


def _attended(one: Recommendation, trial: MeasuredTrial | None) -> tuple[str, ...]:
    even = one.retained.baseline
    return (
        one.key + (" (the guide's)" if one.guide else ""),
        f"{one.tokens:.1f} ({one.share:.0%})",
        _spread(one.retained),
        "–" if even is None or not np.isfinite(even) else f"{even:.2f}",
        f"{one.skill.value:.2f}" if np.isfinite(one.skill.value) else "–",
        measured_cell(trial),
    )


def _spread(estimate: Estimate) -> str:
    if not np.isfinite(estimate.value):
        return "–"
    if not estimate.has_interval:
        return f"{estimate.value:.2f}"
    mark = "" if estimate.reliable else UNRELIABLE
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f}){mark}"
