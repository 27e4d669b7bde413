"""Environments by what they are asked for."""

from __future__ import annotations

from attnscope.capture import Capture
from attnscope.errors import NotCapturedError


def places_of_goals(capture: Capture, cells: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """Return the places, among the stored environments, whose goal is one of these cells.

    Raises
    ------
    NotCapturedError
        A cell is the goal of none of them.
    """
    goal_of = {cell.index: cell.goal for cell in capture.resolved.tasks}
    names = capture.names()
    tasks = [goal_of.get(int(task)) for task in capture.env.task[:]] if "env/task" in names else []
    stored = capture["attention/row_env"][:].tolist() if "attention/row_env" in names else range(len(tasks))
    goals = [tasks[env] if env < len(tasks) else None for env in stored]
    missing = [cell for cell in cells if cell not in goals]
    if missing:
        there = ", ".join(sorted({str(goal) for goal in goals if goal is not None})) or "none is known"
        raise NotCapturedError(f"no stored environment has the goal {missing[0]}; goals are: {there}")
    return tuple(place for place, goal in enumerate(goals) if goal in cells)
