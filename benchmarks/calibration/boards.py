"""Policies whose rules cost what the first study's boards say, shrunk towards their mean by the boards' noise."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attnscope_storage.proposing import least_departing
from benchmarks.study2.published import Published

TABLES = Path(__file__).resolve().parents[2] / "docs" / "study"
BOARD_ROLLOUTS = 40
"""Rollouts of every condition of those boards: 8 tasks × 5 seeds."""

FORMER_GRID = 20 * 5 * BOARD_ROLLOUTS
"""Rollouts of the former grid: 20 rules at 5 budgets."""

FULL = 160
"""Tokens of a full context; only ratios matter here."""


@dataclass(frozen=True)
class Truth:
    """One arm of a simulated policy."""

    name: str
    tokens: int
    kept: float
    spread: float
    """Standard deviation of the paired difference of one rollout, as a share of the gain."""


@dataclass(frozen=True)
class Board:
    """A simulated policy: arms whose kept share is known."""

    name: str
    arms: tuple[Truth, ...]
    grid: int
    """Rollouts of the former fixed grid, its baseline not counted."""


def read_board(name: str) -> Board:
    """Return the policy of a board of the first study: its deployable rules at 40 % of the history or less."""
    with (TABLES / f"{name}-board.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    conditions = [row for row in rows if row["budget"]]
    arms: list[Truth] = []
    for share in (0.4, 0.25, 0.1):
        mine = [row for row in conditions if float(row["budget"]) == share and row["oracle"] == "False"]
        if not mine:
            continue
        kept = np.array([float(row["kept"]) for row in mine])
        widths = np.array([float(row["kept_high"]) - float(row["kept_low"]) for row in mine])
        error = np.maximum(widths / (2 * 1.96), 1e-3)
        reliability = max(0.0, 1 - float((error**2).mean()) / float(kept.var(ddof=1)))
        truth = kept.mean() + reliability * (kept - kept.mean())
        spread = error * np.sqrt(BOARD_ROLLOUTS)
        names = [f"{row['strategy']} {share:.0%}" for row in mine]
        arms += [
            Truth(one, int(FULL * share), float(k), float(s)) for one, k, s in zip(names, truth, spread, strict=True)
        ]
    return Board(name, tuple(arms), len(conditions) * BOARD_ROLLOUTS)


def study_board(policy: Published) -> Board:
    """Return a policy of a later study: of every rule and count the positions that depart least, as a screen chooses.

    The former grid would have had 20 rules at five budgets, whatever the study tried.
    """
    gain = float((policy.plain - policy.arrays["random"][:, None]).mean())
    shares, arms = policy.kept(), list[Truth]()
    for count in policy.subject.counts:
        members = [place for place in policy.single if policy.arms[place].budget == count]
        mine = least_departing(policy.votes, policy.rules, members)
        lost = (policy.means[mine] - policy.plain) / gain
        spread = np.sqrt(lost.var(axis=2, ddof=1).mean(axis=1))
        kept, error = shares[mine], np.maximum(spread / np.sqrt(lost[0].size), 1e-3)
        reliability = max(0.0, 1 - float((error**2).mean()) / max(float(kept.var(ddof=1)), 1e-9))
        truth = kept.mean() + reliability * (kept - kept.mean())
        arms += [
            Truth(f"{policy.rules[place]} {count}", count, float(k), float(s))
            for place, k, s in zip(mine, truth, spread, strict=True)
        ]
    return Board(policy.subject.key, tuple(arms), FORMER_GRID)


def flat_board(kept: dict[int, float], rules: int = 6, spread: float = 0.12) -> Board:
    """Return a policy each of whose rules keeps the same share at one number of tokens."""
    arms = tuple(
        Truth(f"rule {number} {tokens}", tokens, share, spread)
        for tokens, share in kept.items()
        for number in range(rules)
    )
    return Board("flat", arms, len(arms) * BOARD_ROLLOUTS)
