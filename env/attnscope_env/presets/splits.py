"""The tasks that a policy was trained on: the published split rules. They know task numbers, not what a task is."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Int

SPLIT_SEED = 0
"""Seed of the reference's shuffle."""

TRAIN_RATIO = 0.9
"""Share of the goals that are train goals; 73 of 81."""

Shuffle = Literal["python", "numpy", "cinemere"]

# fmt: off
CINEMERE_ORDER: Final = (
    0, 30, 67, 57, 47, 29, 38, 7, 41, 3, 32, 39, 26, 25, 43, 35, 24, 58, 33, 14, 55, 42, 51, 23, 77, 5, 10,
    72, 37, 50, 49, 15, 54, 59, 53, 31, 65, 68, 18, 61, 76, 19, 34, 56, 69, 27, 40, 52, 64, 16, 63, 60, 2, 36,
    20, 8, 66, 45, 11, 73, 46, 13, 1, 9, 21, 28, 12, 22, 17, 48, 6, 74, 4, 75, 44, 62, 70, 71, 79, 80, 78,
)
# fmt: on
"""The goals of Darkroom 9×9 in the order that cinemere/ad-icrl drew once and keeps
(``saved_data/permutations_9.txt`` at e949db9): no seed gives it again."""

CINEMERE_TRAIN_RATIO: Final = 0.5
"""Share of train goals that its configuration has: 41 of 81."""


@dataclass(frozen=True)
class SplitRule:
    """Number the tasks in their natural order, shuffle, cut: train first, then test."""

    shuffle: Shuffle = "python"
    """``python`` is `random.shuffle`, as the AD reference and DICP do; ``numpy`` is NumPy's legacy shuffle, as DPT and
    ad-eps do; both cut at the rounded ratio. ``cinemere`` is `CINEMERE_ORDER`, whose test goals are the whole part of
    their share; a seed changes nothing there."""
    seed: int = SPLIT_SEED
    train_ratio: float = TRAIN_RATIO

    def cut(self, tasks: int) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]:
        """Return the (train, test) task indices of `tasks` tasks, each in the rule's order.

        Raises
        ------
        ValueError
            The rule lists another number of tasks.
        """
        order = list(range(tasks))
        if self.shuffle == "cinemere":
            if tasks != len(CINEMERE_ORDER):
                raise ValueError(f"cinemere's split is of {len(CINEMERE_ORDER)} goals, got {tasks}")
            order = list(CINEMERE_ORDER)
        elif self.shuffle == "python":
            random.Random(self.seed).shuffle(order)  # noqa: S311 - the published split is defined by this generator
        else:
            np.random.RandomState(self.seed).shuffle(order)
        train = round(tasks * self.train_ratio)
        if self.shuffle == "cinemere":
            train = tasks - int(tasks * (1 - self.train_ratio))
        return np.array(order[:train], np.int64), np.array(order[train:], np.int64)

    def kwargs(self) -> dict[str, Any]:
        """Return the rule as an environment's keyword arguments."""
        return {"split_shuffle": self.shuffle, "split_seed": self.seed, "train_ratio": self.train_ratio}
