"""Plans of looks: how many seeds or tasks each look has, and the bounds it is judged by.

The bounds are derived here from the error that they may spend; nothing is copied from a table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from functools import cache

from attnscope_server.deciding.statistics.crossing import crossing
from attnscope_server.deciding.statistics.solving import zero

ERROR = 0.025
"""One-sided error of a false verdict over all looks of a plan, a side."""

SEED_LOOKS = (5, 10, 20, 40)
"""Seeds a task at each look of a claim about named tasks, where these are `FULL_TASKS` or fewer."""

FULL_TASKS = 8
"""Named tasks beyond which a look has no more rollouts: more tasks then have fewer seeds each.

A rollout of a named task tells as much as one of another named task, so that more of them would only cost more.
"""

MORE_SEED_LOOKS = (80, 160, 320)
"""Seeds a task at the further looks of an extendable plan."""

TASK_LOOKS = (8, 16, 32, 64)
"""Tasks at each look of a claim beyond the tasks that were judged."""

SEEDS_A_TASK = 5
"""Seeds a task where a claim reaches beyond the judged tasks."""

FIRST_SAFE_SEEDS = 5
"""Fewest seeds a task with which named tasks may be called safe."""

ONE_TASK_LOOKS = (20, 40, 80, 160)
"""Seeds at each look where there is one task; no more rollouts than those of several tasks."""

FEWEST_SAFE_ROLLOUTS = 72
"""Fewest rollouts with which an arm may be called safe.

If one rollout in twenty loses its whole gain, 5 % are lost; fewer than 72 rollouts show none of them too often (2.5 %).
"""


class Reach(Enum):
    """The reach of a claim."""

    THESE = "these"
    """The named tasks only: their seeds are the sample."""

    BEYOND = "beyond"
    """The population that the tasks were drawn from: the tasks are the sample."""


@dataclass(frozen=True)
class Look:
    """One look of a plan."""

    number: int
    """1 at the first look."""

    tasks: int
    seeds: int
    """Seeds a task."""

    fraction: float
    """Information as a share of the plan's last look."""

    safe: float
    """z value above which an arm is non-inferior."""

    harm: float
    """z value below whose negative an arm is inferior."""

    may_be_safe: bool
    """False where only harm may be called."""


@dataclass(frozen=True)
class LookPlan:
    """All looks of one test, fixed before the first."""

    reach: Reach
    looks: tuple[Look, ...]
    extendable: bool = False

    @property
    def fractions(self) -> tuple[float, ...]:
        """Information at every look, as a share of the last."""
        return tuple(look.fraction for look in self.looks)

    @property
    def safe(self) -> tuple[float, ...]:
        """Safe bounds as z values; infinite where only harm may be called."""
        return tuple(look.safe if look.may_be_safe else math.inf for look in self.looks)

    @property
    def harm(self) -> tuple[float, ...]:
        """Harm bounds as z values."""
        return tuple(look.harm for look in self.looks)


def seeds_plan(tasks: int, *, extendable: bool = False, at_most: int | None = None) -> LookPlan:
    """Plan of a claim about `tasks` named tasks, whose looks add seeds.

    Parameters
    ----------
    tasks
        Named tasks; with one, looks have 20, 40, 80 and 160 seeds; with 16, they have 3, 5, 10 and 20.
    extendable
        True where further seeds may be added after the last ordinary look, which must be said before the first.
    at_most
        Most seeds a task; later looks are left out, and the bounds derived for those that remain.

    Raises
    ------
    ValueError
        If there is no task, or no look remains.
    """
    if tasks < 1:
        raise ValueError(f"a plan needs a task, got {tasks}")
    ordinary = ONE_TASK_LOOKS if tasks == 1 else _shared_out(SEED_LOOKS, tasks)
    further = _shared_out(MORE_SEED_LOOKS, tasks)
    sizes = tuple(n for n in ordinary if at_most is None or n <= at_most)
    later = tuple(n for n in further if n > ordinary[-1] and (at_most is None or n <= at_most))
    more = later if extendable else ()
    if not sizes:
        raise ValueError(f"the first look has {ordinary[0]} seeds a task, at most {at_most} were allowed")
    safe = _extended_bounds(sizes, more) if more else _obrien_fleming(sizes, ERROR)
    harm, every = _pocock(sizes + more, ERROR), sizes + more

    def may_be_safe(seeds: int) -> bool:
        return seeds >= FIRST_SAFE_SEEDS and tasks * seeds >= FEWEST_SAFE_ROLLOUTS

    looks = tuple(
        Look(i + 1, tasks, n, n / every[-1], safe[i], harm, may_be_safe=may_be_safe(n)) for i, n in enumerate(every)
    )
    return LookPlan(Reach.THESE, looks, extendable=bool(more))


def _shared_out(looks: tuple[int, ...], tasks: int) -> tuple[int, ...]:
    """Return seeds a task, at least as many in all as `FULL_TASKS` tasks have."""
    return tuple(n if tasks <= FULL_TASKS else -(-FULL_TASKS * n // tasks) for n in looks)


def tasks_plan(tasks: int) -> LookPlan:
    """Plan of a claim beyond the judged tasks, whose looks add tasks with 5 seeds each.

    Raises
    ------
    ValueError
        If fewer than 16 tasks are there: such a claim needs two looks over tasks.
    """
    sizes = tuple(n for n in TASK_LOOKS if n <= tasks)
    if len(sizes) < 2:  # noqa: PLR2004 - one look of 8 tasks is no sequence
        raise ValueError(f"a claim beyond the judged tasks needs at least {TASK_LOOKS[1]} unused tasks, got {tasks}")
    safe, harm = _obrien_fleming(sizes, ERROR), _pocock(sizes, ERROR)
    looks = tuple(
        Look(i + 1, n, SEEDS_A_TASK, n / sizes[-1], safe[i], harm, may_be_safe=i > 0) for i, n in enumerate(sizes)
    )
    return LookPlan(Reach.BEYOND, looks)


def _fractions(sizes: tuple[int, ...]) -> list[float]:
    return [n / sizes[-1] for n in sizes]


@cache
def _obrien_fleming(sizes: tuple[int, ...], error: float) -> tuple[float, ...]:
    """Bounds that fall as one over the root of information and are crossed with probability `error` in all."""
    at = _fractions(sizes)

    def excess(last: float) -> float:
        return float(crossing(at, safe=[last / math.sqrt(t) for t in at]).safe.sum()) - error

    last = zero(excess, 1.0, 4.0)
    return tuple(last / math.sqrt(t) for t in at)


@cache
def _pocock(sizes: tuple[int, ...], error: float) -> float:
    """One bound for every look, crossed with probability `error` in all."""
    at = _fractions(sizes)

    def excess(bound: float) -> float:
        return float(crossing(at, safe=[bound] * len(at)).safe.sum()) - error

    return zero(excess, 1.0, 4.0)


@cache
def _extended_bounds(sizes: tuple[int, ...], more: tuple[int, ...]) -> tuple[float, ...]:
    """Safe bounds that spend half the error up to the last ordinary look, then half of the rest at each later one.

    The last of the later looks spends all that is left.
    """
    bounds = list(_obrien_fleming(sizes, ERROR / 2))
    left = ERROR / 2
    for i in range(len(more)):
        spend = left if i == len(more) - 1 else left / 2
        at = _fractions(sizes + more[: i + 1])

        def excess(bound: float, at: list[float] = at, spend: float = spend) -> float:
            return float(crossing(at, safe=[*bounds, bound]).safe[-1]) - spend

        bounds.append(zero(excess, 1.0, 5.0))
        left -= spend
    return tuple(bounds)
