"""Plans run to their end over many simulated rollouts, by the code that judges real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from attnscope_server.deciding.statistics.estimates import PairedReturns, difference, gain
from attnscope_server.deciding.statistics.look_plans import Look, LookPlan, Reach
from attnscope_server.deciding.statistics.looks import signs
from benchmarks.calibration.worlds import World

MARGIN = 0.05
"""Share of the gain that may be lost in every simulation here."""


@dataclass(frozen=True)
class Claims:
    """First verdicts of many repetitions of one plan."""

    verdict: Int[np.ndarray, " repetition"]
    """1 non-inferior, −1 inferior, 0 undecided to the end."""

    look: Int[np.ndarray, " repetition"]
    """Number of the look that gave it; the last where none did."""

    def share(self, sign: int, by_look: int | None = None) -> float:
        """Share of repetitions with a verdict, up to one look where it is named."""
        seen = self.verdict == sign
        return float((seen if by_look is None else seen & (self.look <= by_look)).mean())


def run(world: World, plan: LookPlan, repetitions: int, generator: np.random.Generator) -> Claims:
    """Judge every repetition at every look until its first verdict."""
    last = plan.looks[-1]
    drawn = world.draw(generator, repetitions, last.tasks, last.seeds, plan.reach)
    return first_verdicts(drawn, plan)


def first_verdicts(drawn: PairedReturns, plan: LookPlan) -> Claims:
    """First verdicts of a plan on drawn returns [repetition, task, seed]."""
    repetitions = drawn.compressed.shape[0]
    verdict = np.zeros(repetitions, dtype=np.int64)
    at = np.full(repetitions, len(plan.looks))
    for look in plan.looks:
        seen = part(drawn, look)
        sign = signs(difference(seen, MARGIN, plan.reach), gain(seen, plan.reach), look)
        new = (verdict == 0) & (sign != 0)
        verdict[new], at[new] = sign[new], look.number
    return Claims(verdict, at)


def part(drawn: PairedReturns, look: Look) -> PairedReturns:
    """Return what one look sees of drawn returns [repetition, task, seed]."""
    return PairedReturns(
        drawn.compressed[:, : look.tasks, : look.seeds],
        drawn.uncompressed[:, : look.tasks, : look.seeds],
        drawn.random[:, : look.tasks],
    )


def many(world: World, plan: LookPlan, repetitions: int, seed: int, block: int = 2000) -> Claims:
    """Run in blocks, so that memory stays small."""
    parts = [
        run(world, plan, min(block, repetitions - done), np.random.default_rng([seed, done]))
        for done in range(0, repetitions, block)
    ]
    return Claims(np.concatenate([p.verdict for p in parts]), np.concatenate([p.look for p in parts]))


__all__ = ["MARGIN", "Claims", "Reach", "World", "first_verdicts", "many", "part", "run"]
