"""The gate over policies that act at random: how often it says that they learn, or that they do worse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from attnscope_env.presets.named import PRESETS
from attnscope_server.deciding.statistics.gate import gate

Draw = Callable[[np.random.Generator, tuple[int, ...]], Float[np.ndarray, "..."]]

SHAPES: dict[str, Draw] = {
    "normal": lambda generator, size: generator.standard_normal(size),
    "exponential gains": lambda generator, size: generator.standard_exponential(size) - 1,
    "exponential losses": lambda generator, size: 1 - generator.standard_exponential(size),
    "one rollout in ten earns": lambda generator, size: (generator.random(size) < 0.1) - 0.1,
}
"""Late returns of random actions less their mean."""


@dataclass(frozen=True)
class Passed:
    """Shares of gates over policies that act at random."""

    better: float
    """Called better than random: the gate opens, falsely."""

    worse: float
    """Called worse than random."""


def passed(draw: Draw, repetitions: int, seed: int, tasks: int = 4, seeds: int = 8) -> Passed:
    """Judge random policies whose late returns are `draw`."""
    generator = np.random.default_rng(seed)
    late = 1 + draw(generator, (repetitions, tasks, seeds))
    return _shares(late, np.ones(tasks))


def passed_in_room(preset: str, episodes: int, repetitions: int, seed: int, tasks: int = 4, seeds: int = 8) -> Passed:
    """Judge uniform actions in a real room: the last third of so many episodes, against the declared random return."""
    room, generator = PRESETS[preset], np.random.default_rng(seed)
    chosen = [room.task(int(index)) for index in generator.choice(room.task_count, tasks, replace=False)]
    late = max(1, episodes // 3)
    rows = repetitions * seeds
    vector = room.make_vector([task for task in chosen for _ in range(rows)])
    vector.reset(seed=[int(one) for one in generator.integers(0, 2**31, tasks * rows)])
    total = np.zeros(tasks * rows)
    for _ in range(late * room.horizon):
        total += np.asarray(vector.step(generator.integers(0, len(room.actions), tasks * rows))[1], np.float64)
    vector.close()
    means = (total / late).reshape(tasks, repetitions, seeds).transpose(1, 0, 2)
    return _shares(means, np.array([task.random_return for task in chosen], np.float64))


def _shares(late: Float[np.ndarray, "repetition task seed"], random: Float[np.ndarray, " task"]) -> Passed:
    gates = [gate(one, random, one != 0) for one in late]
    return Passed(float(np.mean([g.learns for g in gates])), float(np.mean([g.worse for g in gates])))
