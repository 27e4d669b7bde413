"""Dips: budgets at which a rule departs far less than at its neighbours, as at lengths that a policy was trained at."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from attnscope.screens.board import Row

NEAR: Final = 2
"""Transitions within which a neighbour must lie: a smooth curve changes little over so few."""

FAR_LESS: Final = 0.8
"""Share of either neighbour's departure that a dip stays below."""


def dips(table: Sequence[Row]) -> list[Row]:
    """Return the counts at which one rule under one position policy departs far less than one or two transitions away.

    Only budgets that are counts are looked at, and only where both neighbours were judged.
    """
    counts = sorted((row for row in table if isinstance(row.budget, int)), key=_count)
    found = []
    for (before, row), (_, after) in pairwise(pairwise(counts)):
        near = _count(after) - _count(row) <= NEAR and _count(row) - _count(before) <= NEAR
        if near and row.tv_live < FAR_LESS * min(before.tv_live, after.tv_live):
            found.append(row)
    return found


def _count(row: Row) -> int:
    return int(row.budget or 0)
