"""The rollouts of one request as the decision's own store keeps them; the stores that it owns hold them whole."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, Shaped

from attnscope_server.deciding.phases.rollouts import axis_of
from attnscope_server.deciding.state import Piece


@dataclass
class Part:
    """The rollouts of one request, as they are stored."""

    rows: list[dict[str, Shaped[np.ndarray, "rollout ..."]]] = field(default_factory=list)

    def add(
        self,
        number: int,
        piece: Piece,
        returns: Float[np.ndarray, "rollout episode"],
        action: Int[np.ndarray, "rollout step"],
        differing: Int[np.ndarray, "task seed"] | None = None,
    ) -> None:
        """Add the rollouts of a piece, task × seed; `number` is that of its arm."""
        axis = axis_of(piece.tasks, piece.first, piece.last)
        counts = np.full(len(axis.task), -1) if differing is None else differing.ravel()
        self.rows.append(
            {
                "decision/arm": np.full(len(axis.task), number, np.int32),
                "decision/task": axis.task,
                "decision/seed": axis.seed,
                "decision/differing": counts.astype(np.int32),
                "decision/return": returns.astype(np.float32),
                "decision/action": action.astype(np.int16),
            }
        )

    def arrays(self) -> dict[str, Shaped[np.ndarray, "rollout ..."]]:
        """Return the arrays by name; none where nothing was rolled out."""
        if not self.rows:
            return {}
        return {name: np.concatenate([row[name] for row in self.rows]) for name in self.rows[0]}
