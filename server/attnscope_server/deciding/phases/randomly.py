"""The return of random actions on the tasks of a decision: what the preset knows, else rollouts of uniform actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from attnscope_server.deciding.driver import request
from attnscope_server.deciding.phases.record import Record
from attnscope_server.deciding.phases.rollouts import UNIFORM_SEEDS, Stage, axis_of
from attnscope_server.deciding.state import UNCOMPRESSED
from attnscope_server.deciding.statistics.episodes import mean_return
from attnscope_storage.wire.specifications.decisions import ResolvedDecision

UNIFORM_ROLLOUTS: Final = 40
"""Rollouts of uniform actions a screening task, where its random return is not known."""


@dataclass(frozen=True)
class RandomReturns:
    """Random returns by task; the record keeps what was rolled out, so that nothing is rolled out twice."""

    resolved: ResolvedDecision
    stage: Stage
    """Rolls uniform actions out."""

    def on_screening(self, tasks: Sequence[int], record: Record) -> tuple[dict[int, tuple[float, float]], Record]:
        """Return the random return of screening tasks with its error; what nobody knows is rolled out once."""
        known = self._preset()
        lacking = [task for task in tasks if task not in known and task not in record.random]
        if lacking:
            first = record.driver.plan.seed_base + UNIFORM_SEEDS
            means, record = self._acted(lacking, first, first + UNIFORM_ROLLOUTS, record)
            error = means.std(axis=1, ddof=1) / np.sqrt(means.shape[1])
            pairs = zip(means.mean(axis=1).tolist(), error.tolist(), strict=True)
            record = record.model_copy(update={"random": {**record.random, **dict(zip(lacking, pairs, strict=True))}})
        return {task: (known[task], 0.0) if task in known else record.random[task] for task in tasks}, record

    def known(self, tasks: Sequence[int]) -> dict[int, tuple[float, float]]:
        """Return the random return of judging tasks; 0 stands where uniform actions on the judging seeds replace it."""
        known = self._preset()
        return {task: (known.get(task, 0.0), 0.0) for task in tasks}

    def on_judging(self, tasks: Sequence[int], record: Record) -> tuple[dict[int, tuple[float, ...]] | None, Record]:
        """Return the returns of uniform actions on the judging seeds so far; None where the preset knows their mean."""
        known, driver = self._preset(), record.driver
        if all(task in known for task in tasks):
            return None, record
        asked = request(driver)
        pieces = () if asked is None else asked.pieces
        [piece] = [one for one in pieces if one.arm != UNCOMPRESSED]
        found = {**record.uniform}
        lacking = [task for task in piece.tasks if len(found.get(task, ())) < piece.last - driver.plan.judging_seed]
        if lacking:
            means, record = self._acted(lacking, piece.first, piece.last, record)
            found |= {one: (*found.get(one, ()), *map(float, row)) for one, row in zip(lacking, means, strict=True)}
            record = record.model_copy(update={"uniform": found})
        return found, record

    def _preset(self) -> dict[int, float]:
        """Return the random returns that the preset knows, by task."""
        cells = (*self.resolved.tasks, *self.resolved.screening_tasks)
        return {cell.index: cell.random_return for cell in cells if cell.random_return is not None}

    def _acted(
        self, tasks: Sequence[int], first: int, last: int, record: Record
    ) -> tuple[Float[np.ndarray, "task seed"], Record]:
        """Return the mean return an episode of uniform actions, and the record with their rollouts counted."""
        rolled = self.stage.uniform(axis_of(tasks, first, last))
        counted = record.random_rollouts + len(tasks) * (last - first)
        means = mean_return(rolled.returns).reshape(len(tasks), -1)
        return means, record.model_copy(update={"random_rollouts": counted})
