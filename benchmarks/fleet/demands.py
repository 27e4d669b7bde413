"""The jobs that owners of a simulated fleet ask for: floods, batches and single jobs, drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Final
from uuid import UUID

import numpy as np

MEANS: Final = (10.0, 30.0, 90.0)
"""Mean seconds of a job; each owner has one of them."""

SHORTEST, LONGEST = 1.0, 600.0
"""Seconds of a job, at least and at most."""

FLOOD: Final = 1000
"""Jobs of a flood: as many as the service lets one owner queue."""


@dataclass(frozen=True)
class Demand:
    """One job that somebody asks for."""

    name: UUID
    owner: str
    at: float
    """Seconds of simulated time at which it is submitted."""
    seconds: float
    """Time that a worker takes for it."""


@dataclass(frozen=True)
class Crowd:
    """The owners of a run, by the way in which they ask."""

    floods: int
    """Owners who submit `FLOOD` jobs at the beginning."""
    batches: int
    """Owners who submit a batch at some moment of the first half."""
    in_batch: int
    singles: int
    """Owners who submit jobs one by one."""
    one_by_one: int
    """Jobs of each of them."""
    flood: int = FLOOD

    @property
    def owners(self) -> int:
        """Number of owners."""
        return self.floods + self.batches + self.singles

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return self.floods * self.flood + self.batches * self.in_batch + self.singles * self.one_by_one


WHOLE: Final = Crowd(floods=5, batches=20, in_batch=200, singles=25, one_by_one=40)
"""50 owners, 10,000 jobs."""

PART: Final = Crowd(floods=5, batches=20, in_batch=40, singles=25, one_by_one=8, flood=200)
"""The same owners with a fifth of the jobs."""

SMALL: Final = Crowd(floods=1, batches=4, in_batch=12, singles=5, one_by_one=4, flood=60)
"""10 owners, 128 jobs."""


def demands(crowd: Crowd, workers: int, seed: int = 1) -> list[Demand]:
    """Return the jobs in the order of their submission.

    They arrive during the time that the fleet needs for half of them, so that most wait.
    """
    chance, numbers = np.random.default_rng(seed), count(1)
    span = 0.5 * crowd.jobs * sum(MEANS) / len(MEANS) / workers
    found: list[Demand] = []

    def ask(owner: str, mean: float, moments: np.ndarray) -> None:
        lasting = np.clip(chance.exponential(mean, len(moments)), SHORTEST, LONGEST)
        found.extend(
            Demand(UUID(int=next(numbers), version=4), owner, float(at), float(seconds))
            for at, seconds in zip(moments, lasting, strict=True)
        )

    for nth in range(crowd.owners):
        mean = MEANS[nth % len(MEANS)]
        if nth < crowd.floods:
            ask(f"flood-{nth}", mean, np.zeros(crowd.flood))
        elif nth < crowd.floods + crowd.batches:
            ask(f"batch-{nth}", mean, np.full(crowd.in_batch, chance.uniform(0, span)))
        else:
            ask(f"single-{nth}", mean, np.sort(chance.uniform(0, span, crowd.one_by_one)))
    return sorted(found, key=lambda demand: demand.at)
