"""Which goals a policy was trained on: the reference's split rule."""

from __future__ import annotations

import random

SPLIT_SEED = 0
"""Seed of the reference's shuffle."""

TRAIN_RATIO = 0.9
"""Share of the goals that are train goals; 73 of 81."""


def shuffled_goals(
    size: int, seed: int = SPLIT_SEED, train_ratio: float = TRAIN_RATIO
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """Return (train, test) goals in the reference's order: all cells row by row, shuffled, cut at the rounded ratio."""
    goals = [(row, column) for row in range(size) for column in range(size)]
    random.Random(seed).shuffle(goals)  # noqa: S311 - the published split is defined by this generator
    train = round(len(goals) * train_ratio)
    return tuple(goals[:train]), tuple(goals[train:])
