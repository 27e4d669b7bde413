"""Which tasks a policy was trained on: the published split rules. They know task numbers, not what a task is."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

SPLIT_SEED = 0
"""Seed of the reference's shuffle."""

TRAIN_RATIO = 0.9
"""Share of the goals that are train goals; 73 of 81."""

Shuffle = Literal["python", "numpy"]


@dataclass(frozen=True)
class SplitRule:
    """Number the tasks in their natural order, shuffle, cut at the rounded ratio: train first, then test."""

    shuffle: Shuffle = "python"
    """``python`` is `random.shuffle`, as the AD reference and DICP do; ``numpy`` is NumPy's legacy shuffle, as DPT and
    ad-eps do."""
    seed: int = SPLIT_SEED
    train_ratio: float = TRAIN_RATIO

    def cut(self, tasks: int) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]:
        """Return the (train, test) task indices of `tasks` tasks, each in the rule's order."""
        order = list(range(tasks))
        if self.shuffle == "python":
            random.Random(self.seed).shuffle(order)  # noqa: S311 - the published split is defined by this generator
        else:
            np.random.RandomState(self.seed).shuffle(order)
        train = round(tasks * self.train_ratio)
        return np.array(order[:train], np.int64), np.array(order[train:], np.int64)

    def kwargs(self) -> dict[str, Any]:
        """Return the rule as an environment's keyword arguments."""
        return {"split_shuffle": self.shuffle, "split_seed": self.seed, "train_ratio": self.train_ratio}
