"""The data of a screen's two pictures, for figures and page: rules by budget, and departures by tokens."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final

from attnscope.screens.board import Row, least, ordered, rows
from attnscope.screens.dips import Dip, dips
from attnscope.screens.results import ScreenResults

DEPLOYABLE: Final = "Rules that could be deployed"
BOUNDS: Final = "Oracles, as bounds: they save nothing"
"""Titles of the panels of a map."""


@dataclass(frozen=True)
class Grid:
    """Rules × budgets; of several ways to stand, a cell holds the one that departs least."""

    names: tuple[str, ...]
    """Rules, those that depart least first where departures order rules."""
    budgets: tuple[int | float | None, ...]
    cells: tuple[tuple[Row | None, ...], ...]
    """[rule][budget]; None where a rule was not judged at a budget."""
    oracle: bool = False

    @property
    def title(self) -> str:
        """The heading of the panel."""
        return BOUNDS if self.oracle else DEPLOYABLE

    @property
    def top(self) -> float:
        """Departures an episode of the cell that departs most."""
        held = (row.per_episode for line in self.cells for row in line if row is not None)
        return max((departs for departs in held if isfinite(departs)), default=0.0)


def grid_of(table: list[Row], *, ranks: bool = True) -> Grid:
    """Return rows of one budget and rule each as a grid.

    Parameters
    ----------
    ranks
        False where departures order no rules: they stay in the order of the arms.
    """
    by_place = {(row.name, row.budget): row for row in table}
    order = sorted(table, key=lambda row: row.per_episode if ranks else row.arm)
    names = tuple(dict.fromkeys(row.name for row in order))
    budgets = tuple(dict.fromkeys(row.budget for row in table))
    cells = tuple(tuple(by_place.get((name, budget)) for budget in budgets) for name in names)
    return Grid(names, budgets, cells, oracle=bool(table) and table[0].oracle)


def grids(results: ScreenResults) -> list[Grid]:
    """Return the map of the rules that heed a budget: deployable ones, then oracles as bounds; empty ones left out."""
    table = [row for row in rows(results) if row.budget is not None]
    parts = [least(ordered(table, oracles=oracles, ranks=results.orders)) for oracles in (False, True)]
    return [grid_of(part, ranks=results.orders) for part in parts if part]


@dataclass(frozen=True)
class Curves:
    """Departures of live decisions against tokens kept, of every deployable rule that heeds a budget."""

    rules: dict[str, tuple[Row, ...]]
    """Rows by rule, in the order of positions and tokens; rules with most budgets first, then those departing least."""
    positions: tuple[str, ...]
    """Position policies, in the order of the arms."""
    dips: dict[int, Dip]
    """Counts that depart less than their neighbours, by arm."""


def curves(results: ScreenResults) -> Curves:
    """Return the curves of a screen."""
    table = [row for row in rows(results) if not row.oracle and row.budget is not None]
    positions = tuple(dict.fromkeys(row.positions for row in table))
    by_rule: dict[str, list[Row]] = {}
    for row in table:
        by_rule.setdefault(row.name, []).append(row)
    order = sorted(by_rule, key=lambda name: (-len(by_rule[name]), min(row.tv_live for row in by_rule[name])))
    placed = {
        name: tuple(sorted(by_rule[name], key=lambda row: (positions.index(row.positions), row.tokens)))
        for name in order
    }
    return Curves(placed, positions, {dip.arm: dip for dip in dips(results)})
