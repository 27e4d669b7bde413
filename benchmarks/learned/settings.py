"""The settings of the study: the arms of each trial in their registered order, in words, and the questions on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.learned.subjects import CAD, CAD_24, CAD_40, NEWEST, NEWEST_24, NEWEST_40, WHOLE

FROZEN: Final = "AD-reference-sweeper-darkroom-reference-seed0@2400"
"""A shipped policy with a context of 160."""

LONG: Final = "AD-absolute-sweeper-key-to-door-seed0@3000"
"""A shipped policy of key-to-door with a context of 350: seven episodes."""


@dataclass(frozen=True)
class Question:
    """A registered comparison of two arms, by their places."""

    arm: int
    reference: int


@dataclass(frozen=True)
class Setting:
    """One trial of arms, the first of which is the reference."""

    key: str
    """Name of its files."""
    recipes: tuple[str, ...]
    """Trained recipes whose seeds it judges; none of a trial whose weights are not kept."""
    arms: Mapping[str, dict[str, Any]]
    """Each arm by its name in words."""
    questions: tuple[Question, ...]
    """In their registered order."""
    growing: int
    """Episodes of the table's first column: those before the first compression, one at least."""
    drawn: tuple[int, ...]
    """Arms of its figure."""
    episodes: int = 20
    tasks: int | None = None
    """Held-out tasks, spread evenly over the split; None: all of them."""
    whole_first: bool = True
    """Nothing is packed in the first column's episodes."""
    shipped: Mapping[str, str] = field(default_factory=dict)
    """Shipped policies that stand in a question, each a recipe of one training seed, by its name."""

    @property
    def names(self) -> tuple[str, ...]:
        """The arms in words."""
        return tuple(self.arms)


def newest(checkpoint: str, tokens: int, **others: str) -> dict[str, Any]:
    """Return the arm that keeps a checkpoint's newest transitions."""
    return {"checkpoint": checkpoint, "strategy": {"name": "recency"}, "budget": tokens, **others}


def leaving(checkpoint: str, count: int) -> dict[str, Any]:
    """Return the arm that leaves the newest transitions as they are at a compression."""
    return {"checkpoint": checkpoint, "strategy": {"name": "latents", "parameters": {"newest": count}}}


def sliding(checkpoint: str) -> dict[str, Any]:
    """Return the arm of the same weights over a sliding window without latents."""
    return {"checkpoint": checkpoint, "strategy": {"name": "none"}}


ASKED: Final = (Question(1, 0), Question(1, 2), Question(1, 3), Question(4, 0), Question(4, 5), Question(4, 1))
"""The questions of both settings."""

SWEEP: Final = Setting(
    key="sweep",
    recipes=(NEWEST, CAD),
    arms={
        "newest 64": {"checkpoint": NEWEST},
        "CAD": {"checkpoint": CAD},
        "newest 64, cut to its newest 39": newest(NEWEST, 39, positions="reindex"),
        "CAD without latents, sliding": sliding(CAD),
        "CAD, leaving 23 as they are": leaving(CAD, 23),
        "newest 64, cut to its newest 51": newest(NEWEST, 51, positions="reindex"),
        "shipped, whole": {"checkpoint": FROZEN},
        "shipped, cut to its newest 63": newest(FROZEN, 63),
    },
    questions=ASKED,
    growing=3,
    drawn=(0, 1, 3, 4),
)

SEARCH: Final = Setting(
    key="search",
    recipes=(NEWEST_24, CAD_24, WHOLE),
    arms={
        "newest 24": {"checkpoint": NEWEST_24},
        "CAD-24": {"checkpoint": CAD_24},
        "newest 24, cut to its newest 15": newest(NEWEST_24, 15, positions="reindex"),
        "CAD-24 without latents, sliding": sliding(CAD_24),
        "CAD-24, leaving 7 as they are": leaving(CAD_24, 7),
        "newest 24, cut to its newest 19": newest(NEWEST_24, 19, positions="reindex"),
        "whole history of 160": {"checkpoint": WHOLE},
    },
    questions=(*ASKED, Question(6, 0)),
    growing=1,
    drawn=(0, 1, 3, 4, 6),
)

DOOR: Final = Setting(
    key="door",
    recipes=(NEWEST_40, CAD_40),
    arms={
        "newest 40": {"checkpoint": NEWEST_40},
        "CAD-40": {"checkpoint": CAD_40},
        "newest 40, cut to its newest 23": newest(NEWEST_40, 23, positions="reindex"),
        "CAD-40 without latents, sliding": sliding(CAD_40),
        "CAD-40, leaving 15 as they are": leaving(CAD_40, 15),
        "newest 40, cut to its newest 31": newest(NEWEST_40, 31, positions="reindex"),
        "whole history of 350": {"checkpoint": "long"},
    },
    questions=(*ASKED, Question(6, 0)),
    growing=1,
    drawn=(0, 1, 3, 4, 6),
    episodes=7,
    tasks=16,
    whole_first=False,
    shipped={"long": LONG},
)

HALFWAY: Final = Setting(
    key="halfway",
    recipes=(),
    arms={
        name: {}
        for name in (
            "newest 64",
            "CAD",
            "newest 64, cut to its newest 39",
            "CAD without latents, sliding",
            "CAD, leaving 23 as they are",
            "newest 64, at the end",
            "CAD, at the end",
            "shipped, whole",
            "shipped, cut to its newest 63",
        )
    },
    questions=(Question(1, 0), Question(1, 2), Question(1, 3), Question(6, 5)),
    growing=3,
    drawn=(),
)
"""The first study, at step 1,500; its arrays are kept, its weights are not."""

RUN: Final = (SWEEP, SEARCH, DOOR)
"""Settings that are rolled out."""

SETTINGS: Final = (*RUN, HALFWAY)
"""All whose arrays are published."""
