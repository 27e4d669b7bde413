"""A line with a gripper (two choices at once), a plane (action vectors) and a room of tiles (an int8 grid)."""

from __future__ import annotations

from typing import Any, Final

import gymnasium
import numpy as np
from gymnasium import spaces

from attnscope_env.presets.gymnasium_entry import GymnasiumEntry, TaskEntry

HORIZON: Final = 6
"""Steps of an episode."""

CELLS: Final = 5
"""Cells of the line."""

SIDE: Final = 3
"""Rows and columns of the room of tiles."""


class Line(gymnasium.Env[Any, Any]):
    """Move left, stay or move right, and grip or not, at once: gripping on the hidden cell pays 1."""

    action_space = spaces.MultiDiscrete([3, 2])
    observation_space = spaces.Box(0, CELLS - 1, (2,), np.int32)

    def __init__(self, target: int = 0) -> None:
        self._target, self._at, self._gripped = target, CELLS // 2, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin in the middle."""
        super().reset(seed=seed, options=options)
        self._at, self._gripped = CELLS // 2, 0
        return self._observed(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Move and grip."""
        move, grip = (int(part) for part in action)
        self._at, self._gripped = min(max(self._at + move - 1, 0), CELLS - 1), grip
        return self._observed(), float(grip and self._at == self._target), False, False, {}

    def _observed(self) -> Any:
        return np.array([self._at, self._gripped], np.int32)


class Left(Line):
    """The line with its paying cell on the left, whatever the task's number."""

    def __init__(self, number: int = 0) -> None:
        super().__init__(target=0)
        self._number = number


class Plane(gymnasium.Env[Any, Any]):
    """Move by an action vector: within half a unit of the hidden point, nearness pays."""

    action_space = spaces.Box(-1, 1, (2,), np.float32)
    observation_space = spaces.Box(-4, 4, (2,), np.float32)

    def __init__(self, target: tuple[float, float] = (0.0, 0.0)) -> None:
        self._target, self._at = np.array(target), np.zeros(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin at a drawn point near the middle."""
        super().reset(seed=seed, options=options)
        self._at = self.np_random.uniform(-0.1, 0.1, 2)
        return self._at.astype(np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Move; a vector beyond the bounds is an error, as in environments that check."""
        if not self.action_space.contains(np.asarray(action)):
            raise ValueError(f"expected a vector within the bounds, got {action!r}")
        self._at = np.clip(self._at + 0.3 * action, -4, 4)
        near = max(0.0, 1 - 2 * float(np.abs(self._at - self._target).max()))
        return self._at.astype(np.float32), near, False, False, {}


class Tiles(gymnasium.Env[Any, Any]):
    """Walk over tiles that are seen from above as [row, column, (kind, colour)], int8; the goal tile pays 1."""

    action_space = spaces.Discrete(4)
    observation_space = spaces.Box(0, 3, (SIDE, SIDE, 2), np.int8)

    def __init__(self, goal: tuple[int, int] = (0, 0)) -> None:
        self._goal, self._at = tuple(goal), (1, 1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin in the middle."""
        super().reset(seed=seed, options=options)
        self._at = (1, 1)
        return self._observed(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Walk down, up, right or left."""
        moves = ((1, 0), (-1, 0), (0, 1), (0, -1))
        row, column = (min(max(at + by, 0), SIDE - 1) for at, by in zip(self._at, moves[int(action)], strict=True))
        self._at = (row, column)
        return self._observed(), float(self._at == self._goal), False, False, {}

    def _observed(self) -> Any:
        grid = np.zeros((SIDE, SIDE, 2), np.int8)
        grid[..., 1] = 1
        grid[self._at] = (2, 3)
        return grid


for kind in (Line, Left, Plane, Tiles):
    if f"heads/{kind.__name__}-v0" not in gymnasium.registry:
        gymnasium.register(f"heads/{kind.__name__}-v0", entry_point=kind)


def _entry(name: str, parameter: str, tasks: tuple[Any, ...], **fields: Any) -> GymnasiumEntry:
    listed = tuple(TaskEntry(label=f"{parameter} {task}", kwargs={parameter: task}, split="test") for task in tasks)
    return GymnasiumEntry(
        id=f"heads/{name}-v0",
        module="heads.environments",
        preset=name.lower(),
        horizon=HORIZON,
        tasks=listed,
        **fields,
    )


LINE: Final = _entry("Line", "target", (0, 4), actions=("left", "stay", "right", "open", "grip"), branches=(3, 2))
LEFT: Final = _entry("Left", "number", tuple(range(8)), actions=LINE.actions, branches=LINE.branches)
PLANE: Final = _entry("Plane", "target", ((0.5, 0.0), (0.0, -0.5)), actions=("x", "y"), continuous=True)
TILES: Final = _entry("Tiles", "goal", ((0, 0), (2, 2)), actions=("down", "up", "right", "left"))
ENTRIES: Final = (LINE, LEFT, PLANE, TILES)
"""The environments as an operator lists them."""
