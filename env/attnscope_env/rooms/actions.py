"""Moves from integers: the two numberings that Darkroom code uses.

A move is (rows, columns); walls clip it. Checkpoints know only the integers, so a wrong numbering is a wrong
policy: presets bind the numbering to the family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Int32, Int64

from attnscope_env.rooms.room import cell_coordinates, walk


@dataclass(frozen=True)
class ActionNumbering:
    """Names and moves of the actions, by number."""

    names: tuple[str, ...]
    moves: tuple[tuple[int, int], ...]

    def table(self) -> Int32[np.ndarray, "action 2"]:
        """Return the moves as an array to index with actions."""
        return np.array(self.moves, dtype=np.int32)


ACTION_NUMBERINGS: Final[Mapping[str, ActionNumbering]] = MappingProxyType(
    {
        "reference": ActionNumbering(
            names=("down", "up", "right", "left", "stay"),
            moves=((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)),
        ),
        "toymeta": ActionNumbering(
            names=("stay", "up", "right", "down", "left"),
            moves=((0, 0), (-1, 0), (0, 1), (1, 0), (0, -1)),
        ),
    }
)
"""By name: ``reference`` is AD's and DPT's, ``toymeta`` that of toymeta, ad-eps and cinemere."""


def numbering(name: str) -> ActionNumbering:
    """Return the numbering of this name.

    Raises
    ------
    ValueError
        There is none of this name.
    """
    try:
        return ACTION_NUMBERINGS[name]
    except KeyError:
        raise ValueError(f"expected an action numbering of {sorted(ACTION_NUMBERINGS)}, got {name!r}") from None


@lru_cache(maxsize=64)
def successors(size: int, name: str) -> Int64[np.ndarray, "action cell"]:
    """Return the number of the cell that each action leads to from each cell of a room; cells count row by row.

    This table is all that stepping needs of the geometry. It is shared between callers and read-only.
    """
    after = walk(cell_coordinates(size)[None], numbering(name).table()[:, None], size)
    table: Int64[np.ndarray, "action cell"] = after[..., 0].astype(np.int64) * size + after[..., 1]
    table.flags.writeable = False
    return table
