"""A screen as a table: one row an arm, those that can be deployed first, oracles apart as bounds."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from attnscope.measures.intervals import Interval
from attnscope.screens.predicted import applies, predicted_cost
from attnscope.screens.results import PHASES, ScreenResults
from attnscope.trials.naming import label_of
from attnscope_model.strategies.learned import Latents
from attnscope_storage.wire import Condition

WORDS: Final = (
    "A screen says how far an arm changes the policy on stored histories, with 95 % intervals over tasks and rollouts. "
    "It does not say what that costs: only a trial says so."
)


@dataclass(frozen=True)
class Row:
    """One arm of a screen; numbers are means, bounds are 95 % intervals."""

    arm: int
    name: str
    """Rule, with the parameters that are not its defaults, its interval and its memory."""
    strategy: str
    budget: int | float | None
    positions: str
    interval: int | str
    memory: str
    oracle: bool
    tokens: float
    share: float
    per_episode: float
    per_episode_low: float
    per_episode_high: float
    episode_changed: float | None
    tv_live: float
    tv_live_low: float
    tv_live_high: float
    tv_all: float
    signed: float | None
    signed_low: float | None
    signed_high: float | None
    kl: float | None
    flips: float | None
    retained: float | None
    time_growing: float
    time_full: float
    before_the_first_reward: float
    first_third: float
    last_third: float
    growing_window: float
    full_window: float
    predicted_cost: float | None
    """Share of the gain that other policies lost at as many departures of an episode; None where that says nothing."""


def rows(results: ScreenResults) -> list[Row]:
    """Return every arm, in the order of the arm axis."""
    kl, flips, changed = results.optional("kl"), results.optional("flip"), results.changed
    phases = {name.replace(" ", "_"): results.by_phase(name).value for name in PHASES[1:]}
    growing, full = results.time("growing window"), results.time("full window")
    cost = predicted_cost if applies(results) else None
    bounds = {"per_episode": results.per_episode, "tv_live": results.tv_live, "signed": results.signed}
    known = {name: interval for name, interval in bounds.items() if interval is not None}
    found = []
    for index, arm in enumerate(results.arms):
        values: dict[str, float | None] = dict.fromkeys(("signed", "signed_low", "signed_high"))
        for name, interval in known.items():
            values |= _ends(name, interval, index)
        found.append(
            Row(
                arm=arm.index,
                name=name_of(arm),
                strategy=arm.text,
                budget=arm.budget,
                positions=arm.positions,
                interval=arm.interval,
                memory=arm.memory,
                oracle=arm.oracle,
                tokens=float(results.tokens[index]),
                share=float(results.share[index]),
                episode_changed=None if changed is None else float(changed.value[index]),
                tv_all=float(results.tv_all.value[index]),
                kl=None if kl is None else float(kl[index]),
                flips=None if flips is None else float(flips[index]),
                retained=None if results.retained is None else float(results.retained.value[index]),
                time_growing=float(growing[index]),
                time_full=float(full[index]),
                predicted_cost=None if cost is None else cost(float(results.per_episode.value[index])),
                **values,  # type: ignore[arg-type]  # those of bounds that every screen has are numbers
                **{name: float(of[index]) for name, of in phases.items()},
            )
        )
    return found


def as_csv(results: ScreenResults) -> str:
    """Return the whole table as text of comma-separated values."""
    found = [asdict(row) for row in rows(results)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(found[0]))
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue()


def ordered(table: list[Row], *, oracles: bool, ranks: bool = True) -> list[Row]:
    """Return the deployable rows, or the oracles, by budget and then by departures.

    Parameters
    ----------
    ranks
        False where departures order no rules: those of a budget stay in the order of the arms.
    """
    mine = [row for row in table if row.oracle == oracles]
    return sorted(mine, key=lambda row: (_size(row.budget), _place(row, ranks=ranks)))


def least(table: list[Row]) -> list[Row]:
    """Return of each rule and budget the row that departs least, in the order of the table."""
    best: dict[tuple[str, int | float | None], Row] = {}
    for row in table:
        key = (row.name, row.budget)
        if key not in best or row.per_episode < best[key].per_episode:
            best[key] = row
    chosen = {id(row) for row in best.values()}
    return [row for row in table if id(row) in chosen]


def name_of(arm: Condition) -> str:
    """Return what an arm's rule is called in a table, whatever its budget and positions."""
    every = "" if arm.interval == 1 else f" every {arm.interval}" if arm.interval != "full" else " when full"
    plain = arm.memory == "stateless" or arm.strategy == Latents.name  # which is never anything else
    return f"{label_of(arm)}{every}{'' if plain else ', stateful'}"


def _place(row: Row, *, ranks: bool) -> float:
    """Return what the rows of one budget are sorted by."""
    return float(np.nan_to_num(row.per_episode, nan=np.inf)) if ranks else float(row.arm)


def _size(budget: float | None) -> tuple[bool, float]:
    """Return what budgets are sorted by: shares, then counts, then no budget."""
    return (budget is None or isinstance(budget, int), np.inf if budget is None else float(budget))


def _ends(name: str, interval: Interval, place: int) -> dict[str, float]:
    return {
        name: float(interval.value[place]),
        f"{name}_low": float(interval.low[place]),
        f"{name}_high": float(interval.high[place]),
    }
