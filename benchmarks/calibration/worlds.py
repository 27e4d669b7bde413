"""Simulated rollouts whose truth is known: paired returns at a stated kept share, normal or skewed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from attnscope_server.deciding.statistics.estimates import PairedReturns
from attnscope_server.deciding.statistics.look_plans import Reach

RARE = 0.05
"""Share of rollouts that lose much in the `rare` shape."""


@dataclass(frozen=True)
class World:
    """A policy and a compressed arm whose kept share is known."""

    kept: float
    """True kept share of the gain over random actions."""

    shape: str = "normal"
    """`normal`; `skewed`: exponential losses; `rare`: one rollout in twenty loses much."""

    spread: float = 0.12
    """Standard deviation of the paired difference of one rollout, as a share of the gain."""

    between: float = 0.05
    """Standard deviation of the kept share between tasks; tasks are the sample where a claim reaches beyond them."""

    gain: float = 10.0
    """Gain over random actions, an episode."""

    def draw(
        self, generator: np.random.Generator, repetitions: int, tasks: int, seeds: int, reach: Reach
    ) -> PairedReturns:
        """Paired returns [repetition, task, seed]; the named tasks' own mean is the truth of a claim about them."""
        shares = self.kept + self.between * self.noise(generator, (repetitions, tasks))
        if reach is Reach.THESE:
            shares += self.kept - shares.mean(-1, keepdims=True)
        random = np.full((repetitions, tasks), 1.0)
        size = (repetitions, tasks, seeds)
        uncompressed = 1 + self.gain * (1 + 0.1 * generator.standard_normal(size))
        change = (shares - 1)[..., None] + self.spread * self.noise(generator, size)
        return PairedReturns(uncompressed + self.gain * change, uncompressed, random)

    def noise(self, generator: np.random.Generator, size: tuple[int, ...]) -> Float[np.ndarray, " ..."]:
        """Noise of mean 0 and variance 1; the skewed kind has skewness −2, the rare kind −4.1."""
        if self.shape == "normal":
            return generator.standard_normal(size)
        if self.shape == "skewed":
            return 1 - generator.standard_exponential(size)
        if self.shape == "rare":
            return np.asarray((RARE - (generator.random(size) < RARE)) / np.sqrt(RARE * (1 - RARE)))
        raise ValueError(f"rollouts are normal, skewed or rare, got {self.shape!r}")
