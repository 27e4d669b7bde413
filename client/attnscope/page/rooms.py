"""The environment's grid: its borders and the marked cells of a task, where the states of an environment are cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from attnscope.capture import Capture
from attnscope.page.rollouts import Rollout

MOST_CELLS: Final = 64
"""Rows and columns of a grid, at most."""


def room(capture: Capture, rollout: Rollout) -> dict[str, Any]:
    """Return a grid's first and last cell and its marks; ``why`` says why there is none.

    Parameters
    ----------
    rollout
        The environment.
    """
    marks = _marks(capture, rollout.env)
    told: dict[str, Any] = {"low": None, "high": None, "known": False, "marks": marks, "why": None}
    if lacks := capture.lacks("rollout/observation"):
        return told | {"why": lacks}
    states = capture["rollout/observation"]
    if len(states.shape) != 3 or states.shape[2] != 2 or not np.issubdtype(states.dtype, np.integer):  # noqa: PLR2004 - step, env; row, column
        return told | {"why": "the states of this environment are no cells of a grid"}
    size = capture.resolved.environment_kwargs.get("size")
    if isinstance(size, int) and 0 < size <= MOST_CELLS:
        return told | {"low": [0, 0], "high": [size - 1, size - 1], "known": True}
    visited = np.asarray(states[: len(rollout.length), rollout.env])
    cells = np.concatenate([visited, *(np.asarray([mark["at"]]) for mark in marks)])
    low, high = cells.min(axis=0), cells.max(axis=0)
    if (high - low).max() >= MOST_CELLS:
        return told | {"why": f"this environment has more than {MOST_CELLS} rows or columns"}
    return told | {"low": low.tolist(), "high": high.tolist()}


def _marks(capture: Capture, env: int) -> list[dict[str, Any]]:
    """Return the cells that set an environment's task apart, such as its goal, by name."""
    if "env/task" not in capture.names():
        return []
    task = int(capture["env/task"][env])
    for cell in capture.resolved.tasks:
        if cell.index == task:
            named: Mapping[str, tuple[float, ...]] = {"goal": cell.goal} if cell.goal is not None else cell.parameters
            return [{"name": name, "at": list(at)} for name, at in named.items() if _is_cell(at)]
    return []


def _is_cell(at: object) -> bool:
    return isinstance(at, tuple) and len(at) == 2 and all(isinstance(one, int) for one in at)  # noqa: PLR2004 - row, column
