"""Stored rollouts of the uncompressed policy, as a screen reads them. Knows no policy and no rule."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from attnscope_server.trials.axes import LANE

REPLICA = 15_485_863
"""Factor of a replica in a rollout's lane; replica 0 has the lane that it has in a trial."""


class Source(Protocol):
    """Rollouts that are read some at a time."""

    @property
    @abstractmethod
    def rollouts(self) -> int:
        """Number of rollouts."""
        ...

    @property
    @abstractmethod
    def steps(self) -> int:
        """Steps of every rollout."""
        ...

    @property
    @abstractmethod
    def has_rows(self) -> bool:
        """True where the attention of every decision is stored."""
        ...

    @property
    @abstractmethod
    def task(self) -> Int[np.ndarray, " rollout"]:
        """Task of every rollout."""
        ...

    @abstractmethod
    def read(self, rollouts: Int[np.ndarray, " part"]) -> Histories:
        """Return some rollouts whole."""
        ...


@dataclass(frozen=True, eq=False)
class Histories:
    """Rollouts of the uncompressed policy in memory; `read` gives some of them.

    Raises
    ------
    ValueError
        The arrays do not have the same rollouts and steps.
    """

    observation: Shaped[np.ndarray, "rollout step ..."]
    action: Shaped[np.ndarray, "rollout step ..."]
    reward: Float[np.ndarray, "rollout step"]
    next_observation: Shaped[np.ndarray, "rollout step ..."]
    ended: Bool[np.ndarray, "rollout step"]
    """True where an episode ended with the step."""
    task: Int[np.ndarray, " rollout"]
    seed: Int[np.ndarray, " rollout"]
    replica: Int[np.ndarray, " rollout"] | None = None
    rows: Float[np.ndarray, "rollout step slot"] | None = None
    """Attention of every decision to its context, the mean over layers and heads; None: rules that look at attention
    cannot be screened."""

    def __post_init__(self) -> None:
        """Check the shapes."""
        shape = self.action.shape[:2]
        for field in fields(self):
            values, axes = getattr(self, field.name), 1 if field.name in {"task", "seed", "replica"} else 2
            if values is not None and values.shape[:axes] != shape[:axes]:
                raise ValueError(f"{field.name}: expected {shape[:axes]} first, got {values.shape}")

    @property
    def rollouts(self) -> int:
        """Number of rollouts."""
        return len(self.action)

    @property
    def steps(self) -> int:
        """Steps of every rollout."""
        return int(self.action.shape[1])

    @property
    def has_rows(self) -> bool:
        """True where the attention of every decision is there."""
        return self.rows is not None

    @property
    def lanes(self) -> Int[np.ndarray, " rollout"]:
        """A number for every rollout, which strategies draw by; that of the same rollout in a trial."""
        replica = np.zeros(self.rollouts, np.uint64) if self.replica is None else self.replica.astype(np.uint64)
        mixed = self.seed.astype(np.uint64) * np.uint64(LANE) + self.task.astype(np.uint64)
        return ((mixed + replica * np.uint64(REPLICA)) % np.uint64(2**31)).astype(np.int64)

    def read(self, rollouts: Int[np.ndarray, " part"]) -> Histories:
        """Return some rollouts whole."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: value[rollouts] for name, value in values.items() if value is not None})
