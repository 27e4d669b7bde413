"""Simulated arms over training seeds whose truth is known: the errors and the power of claims on recipes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from attnscope.trials.bootstrap import PairedBootstrap
from attnscope.trials.seeds import Gains, kept_of_recipe
from benchmarks.calibration.claims import MARGIN
from benchmarks.calibration.worlds import World


@dataclass(frozen=True)
class Recipes:
    """Two recipes of which the second keeps a stated share of the first one's gain."""

    kept: float
    shape: str = "normal"
    """Of luck and of training seeds, as in `World`."""
    training: float = 0.08
    """Standard deviation between training seeds, as a share of the gain."""
    own: float = 0.12
    """Standard deviation of a rollout's own luck, as a share of the gain."""
    shared: float = 0.0
    """Standard deviation of the luck that all checkpoints share in a rollout, as a share of the gain."""
    paired: bool = False
    """The n-th checkpoints of both grew from one training seed, and share most of what it gave."""
    heeds: float = 0.3
    """Share of the shared luck that the second recipe heeds."""

    def draw(
        self, generator: np.random.Generator, seeds: int, rollouts: int = 5, tasks: int = 8
    ) -> tuple[Gains, Gains]:
        """Return the gains of the arm and of its reference [training seed, evaluation seed, task]."""
        noise = World(1.0, self.shape).noise
        luck = self.shared * noise(generator, (1, rollouts, tasks))
        trained = self.training * noise(generator, (2, seeds, 1, 1))
        if self.paired:
            trained[0] = 0.8 * trained[1] + 0.6 * trained[0]
        gains: Float64[np.ndarray, "arm train seed task"] = self.own * noise(generator, (2, seeds, rollouts, tasks))
        gains += trained + luck * np.array([self.heeds, 1.0])[:, None, None, None]
        return gains[0] + self.kept, gains[1] + 1.0


@dataclass(frozen=True)
class Rates:
    """Shares of repetitions."""

    non_inferior: float
    inferior: float
    covered: float
    """Intervals that hold the true share."""


def rates(world: Recipes, seeds: int, repetitions: int, seed: int = 0) -> Rates:
    """Return how often the claim on a recipe says what."""
    generator = np.random.default_rng([seed, seeds])
    found = [kept_of_recipe(*world.draw(generator, seeds), paired=world.paired) for _ in range(repetitions)]
    low, high = np.array([[one.low, one.high] for one in found]).T
    bound = 1 - MARGIN
    return Rates(
        float((low > bound).mean()),
        float((high < bound).mean()),
        float(((low <= world.kept) & (world.kept <= high)).mean()),
    )


def without_training(world: Recipes, seeds: int, repetitions: int, seed: int = 0) -> float:
    """Return how often the verdict on these checkpoints, read as one on the recipe, calls the margin's loss safe."""
    generator = np.random.default_rng([seed, seeds])
    false = 0
    for number in range(repetitions):
        arm, reference = world.draw(generator, seeds)
        bootstrap = PairedBootstrap(arm.shape[1], arm.shape[2], samples=500, seed=number)
        false += bootstrap.ratio(arm.mean(axis=0), reference.mean(axis=0)).low > 1 - MARGIN
    return false / repetitions
