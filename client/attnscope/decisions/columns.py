"""The data of a ladder's picture, for figure and page: each judged arm with its looks, and limits that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from attnscope_storage.wire.specifications.cards import CardLook, CardRung, DecisionCard

RUNGS: Final = 5
"""Arms that are drawn, at most: the ladder stops at the first that does not hold."""


@dataclass(frozen=True)
class Column:
    """One arm of a ladder."""

    arm: str
    looks: tuple[CardLook, ...]
    """In order; empty in a card of an earlier version."""
    rung: CardRung | None = None
    """The arm's last look, where the card has no looks."""

    @property
    def shown(self) -> Sequence[CardLook | CardRung]:
        """The looks, else the last one."""
        return self.looks or (() if self.rung is None else (self.rung,))

    @property
    def by_seeds(self) -> bool:
        """True where looks differ in the seeds of each task; else they differ in tasks."""
        return len({look.tasks for look in self.shown}) == 1

    @property
    def samples(self) -> list[str]:
        """The size of each look."""
        return [str(look.seeds if self.by_seeds else look.tasks) for look in self.shown]

    @property
    def unit(self) -> str:
        """The unit of `samples`."""
        return "seeds a task" if self.by_seeds else "tasks"


def columns(card: DecisionCard) -> list[Column]:
    """Return the judged arms of a card in the order in which they were judged."""
    arms = list(dict.fromkeys(look.arm for look in card.looks))
    if arms:
        return [Column(arm, tuple(look for look in card.looks if look.arm == arm)) for arm in arms[:RUNGS]]
    return [Column(rung.arm, (), rung) for rung in card.rungs[:RUNGS]]


def limits(found: Sequence[Column], margin: float) -> tuple[float, float]:
    """Return ends of an axis of kept shares that holds every finite end within a share of 1 of the points."""
    looks = [look for column in found for look in column.shown]
    points = [look.kept for look in looks if np.isfinite(look.kept)] or [1.0]
    ends = [end for look in looks for end in (look.low, look.high) if np.isfinite(end)]
    near = [end for end in ends if min(points) - 1 <= end <= max(points) + 1]
    held = [*points, *near, 1 - 2 * margin, 1 + margin]
    room = 0.06 * (max(held) - min(held))
    return min(held) - room, max(held) + room
