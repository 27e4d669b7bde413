"""The exploration-first source: search every cell, then walk to what was found.

Goal-agnostic: while no reward has been seen it walks to a cell not visited yet, visits remembered across episodes;
from then on it takes a random shortest path to the rewarding cell and stays. Where an episode holds several rewards one
after another (a key, then a door), each stage is searched and remembered in the same way.

Two orders of search. *Nearest*: the nearest cell not visited yet, ties at random; what comes next depends on every cell
visited before. *Sweep*: the first cell not visited yet on one spiral from the room's centre, begun anew where the stage
before paid; what comes next nearly always follows from where one stands, which is easier to imitate.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from attnscope_env.rooms.actions import numbering

Order = Literal["nearest", "sweep"]
"""Order in which cells are searched."""

MAX_NOISE = 0.1
"""Largest share of random actions at a history's beginning; each history draws its own, and it decays to 0."""

_BEYOND = 1e6
"""Farther than any cell of any room."""


class Explorer:
    """Search, remember, return: one such agent a history.

    Parameters
    ----------
    histories
        Agents side by side.
    size
        Side of the room, in cells.
    stages
        Rewards that an episode holds one after another; the last one's cell is where it stays.
    steps
        Steps of a whole history, over which the noise decays.
    seed
        Of ties and noise.
    actions
        Numbering of the moves.
    max_noise
        Share of random actions at the beginning, at most. What was meant instead is `intended`, after each `act`.
    order
        Of the search.
    """

    def __init__(
        self,
        histories: int,
        *,
        size: int,
        steps: int,
        seed: int,
        stages: int = 1,
        actions: str = "reference",
        max_noise: float = MAX_NOISE,
        order: Order = "nearest",
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._size = size
        self._stages = stages
        self._moves = numbering(actions).table()
        grid = np.arange(size)
        self._rows, self._columns = np.repeat(grid, size), np.tile(grid, size)
        self._rank = spiral_ranks(size) if order == "sweep" else None
        self._searched = np.zeros((histories, stages, size * size), np.bool_)
        self._found = np.full((histories, stages), -1)
        self._stage = np.zeros(histories, np.int64)
        self._noise = self._rng.uniform(0, max_noise, histories)
        self._steps = steps
        self._step = 0
        self._each = np.arange(histories)
        self.intended: Int[np.ndarray, " history"] = np.zeros(histories, np.int64)

    def act(self, observations: Int[np.ndarray, "history 2"]) -> Int[np.ndarray, " history"]:
        """Return a step towards the known rewarding cell or the unsearched one whose turn it is."""
        known = self._found[self._each, self._stage]
        target = np.where(known >= 0, known, self._next_unsearched(observations))
        greedy = self._towards(observations, target)
        self.intended = greedy
        random = self._rng.random(len(known)) < self._noise * (1 - self._step / self._steps)
        return np.where(random, self._rng.integers(0, len(self._moves), len(known)), greedy)

    def learn(
        self,
        observations: Int[np.ndarray, "history 2"],  # noqa: ARG002 - a source is told everything
        actions: Int[np.ndarray, " history"],  # noqa: ARG002 - as above
        rewards: Float[np.ndarray, " history"],
        next_observations: Int[np.ndarray, "history 2"],
        ended: Bool[np.ndarray, " history"],
    ) -> None:
        """Remember the cell as searched, or as the one that pays at this stage."""
        self._step += 1
        cell = next_observations[:, 0].astype(np.int64) * self._size + next_observations[:, 1]
        paid = rewards > 0
        self._searched[self._each, self._stage, cell] = True
        self._found[self._each[paid], self._stage[paid]] = cell[paid]
        self._stage = np.where(paid, np.minimum(self._stage + 1, self._stages - 1), self._stage)
        self._stage[ended] = 0

    def _next_unsearched(self, observations: Int[np.ndarray, "history 2"]) -> Int[np.ndarray, " history"]:
        """Return the cell whose turn it is among those not searched at this stage."""
        turns = self._nearness(observations) if self._rank is None else self._turns(self._rank)
        turns[self._searched[self._each, self._stage]] += _BEYOND
        return np.asarray(turns.argmin(axis=1))

    def _nearness(self, observations: Int[np.ndarray, "history 2"]) -> Float[np.ndarray, "history cell"]:
        """Return every cell's distance, ties broken at random."""
        near = np.abs(self._rows - observations[:, :1]) + np.abs(self._columns - observations[:, 1:])
        return np.asarray(near + self._rng.random(near.shape, np.float32))

    def _turns(self, rank: Int[np.ndarray, " cell"]) -> Float[np.ndarray, "history cell"]:
        """Return every cell's turn on the spiral, counted from where the stage before paid."""
        before = self._found[self._each, np.maximum(self._stage - 1, 0)]
        begun = np.where(self._stage > 0, rank[before], 0)
        return np.asarray((rank - begun[:, None]) % len(rank), np.float64)

    def _towards(
        self, observations: Int[np.ndarray, "history 2"], target: Int[np.ndarray, " history"]
    ) -> Int[np.ndarray, " history"]:
        """Return a random one of the moves that lie on a shortest path to the target, or staying on it."""
        at = observations.astype(np.int64)[:, None] + self._moves
        at = np.clip(at, 0, self._size - 1)
        left = np.abs(at[:, :, 0] - self._rows[target][:, None]) + np.abs(at[:, :, 1] - self._columns[target][:, None])
        return np.asarray((left + self._rng.random(left.shape, np.float32)).argmin(axis=1))


def spiral_ranks(size: int) -> Int[np.ndarray, " cell"]:
    """Return every cell's place on a spiral that leaves the centre and visits neighbours one after another.

    Where the side is even, the spiral runs beyond the walls on two sides; the cells outside are left out.
    """
    cell = np.array([size // 2, size // 2])
    path, turn = [cell.copy()], np.array([0, 1])
    for leg in range(2 * size + 1):
        for _ in range(leg // 2 + 1):
            cell = cell + turn
            path.append(cell)
        turn = np.array([turn[1], -turn[0]])
    inside = [row * size + column for row, column in path if 0 <= row < size and 0 <= column < size]
    ranks = np.empty(size * size, np.int64)
    ranks[inside[: size * size]] = np.arange(size * size)
    return ranks
