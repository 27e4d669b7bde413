"""The tasks that judge, and how far the claim then reaches."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from attnscope_server.deciding.statistics.look_plans import TASK_LOOKS, LookPlan, Reach, seeds_plan, tasks_plan

FEWEST_JUDGES = 4
"""Fewest tasks that judge where an environment has several."""

MOST_JUDGES = 16
"""Most named tasks that judge."""


RARE_TASKS = (
    f"A claim beyond the judged tasks sees no rare losses of whole tasks: a loss on one task in twenty is missing "
    f"among {TASK_LOOKS[1]} tasks in {0.95 ** TASK_LOOKS[1]:.0%} of cases."
)
"""Note beside every claim beyond the judged tasks; `TASK_LOOKS[1]` tasks are the fewest that may call an arm safe."""


class TooFewJudgesError(ValueError):
    """Too few tasks are left to judge."""


@dataclass(frozen=True)
class Scope:
    """Judging tasks in the order in which looks use them, and the reach of the claim."""

    reach: Reach
    tasks: tuple[int, ...]
    split: str
    """Name of the split that the tasks were drawn from."""

    whole_split: bool
    """True where the tasks are all of the split."""

    notes: tuple[str, ...] = ()
    """Sentences on tasks left out and claims that were asked for and cannot be made."""

    def words(self, judged: int) -> str:
        """Scope of a claim after `judged` tasks, as the answer prints it."""
        if self.reach is Reach.BEYOND:
            return f"beyond the {judged} {self.split} tasks judged"
        if len(self.tasks) == 1:
            return "this task"
        return f"these {judged} tasks" + (f", all of the {self.split} split" if self.whole_split else "")

    def plan(self, *, extendable: bool = False) -> LookPlan:
        """Plan the looks of this scope; those beyond named tasks cannot be extended, as tasks are what they add."""
        if self.reach is Reach.BEYOND:
            return tasks_plan(len(self.tasks))
        return seeds_plan(len(self.tasks), extendable=extendable)


def choose_scope(
    split: str, tasks: Sequence[int], used: Collection[int], *, beyond: bool = False, seed: int = 0
) -> Scope:
    """Choose the judging tasks of one split by a fixed seed.

    Parameters
    ----------
    split
        Name of the split, "held-out" for one.
    tasks
        All tasks of the split.
    used
        Tasks that captured or screened: they never judge a claim beyond themselves, and are left out here.
    beyond
        True where a claim beyond the judged tasks is wanted; it needs 16 unused tasks.

    Raises
    ------
    TooFewJudgesError
        If fewer than 4 tasks are left, unless the environment has one single task, which judges by fresh seeds.
    """
    if len(tasks) == 1:
        declined = ("A claim beyond one task needs more tasks.",) if beyond else ()
        return Scope(Reach.THESE, tuple(tasks), split, whole_split=True, notes=declined)
    left = [task for task in tasks if task not in set(used)]
    if len(left) < FEWEST_JUDGES:
        raise TooFewJudgesError(
            f"{len(left)} of {len(tasks)} {split} tasks are left to judge, at least {FEWEST_JUDGES} are needed: "
            "capture and screen other tasks"
        )
    order = [left[i] for i in np.random.default_rng(seed).permutation(len(left))]
    notes: list[str] = []
    if len(left) < len(tasks):
        notes.append(f"{len(tasks) - len(left)} {split} tasks captured or screened and do not judge.")
    if beyond and len(left) >= TASK_LOOKS[1]:
        most = max(n for n in TASK_LOOKS if n <= len(left))
        notes.append(RARE_TASKS)
        return Scope(Reach.BEYOND, tuple(order[:most]), split, whole_split=False, notes=tuple(notes))
    if beyond:
        notes.append(f"A claim beyond the judged tasks needs {TASK_LOOKS[1]} unused tasks, {len(left)} are left.")
    judges = tuple(order[:MOST_JUDGES])
    return Scope(Reach.THESE, judges, split, whole_split=len(judges) == len(tasks), notes=tuple(notes))
