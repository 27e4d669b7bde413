"""Coverage of the repeated interval at the look where a test ends, futility, and the final point."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from attnscope_server.deciding.statistics.estimates import Estimate, PairedReturns, difference, gain
from attnscope_server.deciding.statistics.final_point import median_unbiased_kept
from attnscope_server.deciding.statistics.look_plans import LookPlan
from attnscope_server.deciding.statistics.looks import judge
from attnscope_server.deciding.statistics.power import conditional_power, is_futile
from benchmarks.calibration.claims import MARGIN, first_verdicts, part
from benchmarks.calibration.worlds import World


@dataclass(frozen=True)
class Covered:
    """Misses of the interval that a test ends with, and the share of its points that lie above the truth."""

    too_high: float
    """Share of tests whose whole interval lies above the truth."""

    too_low: float
    """Share of tests whose whole interval lies below the truth."""

    point_above: float
    """Share of median-unbiased final points above the truth; one half is unbiased."""

    plain_above: float
    """The same of the plain kept ratio."""


def covered(world: World, plan: LookPlan, repetitions: int, seed: int, points: int = 0) -> Covered:
    """Run tests to their first verdict, or their last look, and compare their intervals with the truth.

    The interval inverts the test: the truth lies below it where the test of the true share exceeds the safe bound.

    Parameters
    ----------
    points
        Repetitions whose final point is computed, which takes some milliseconds each.
    """
    last = plan.looks[-1]
    drawn = world.draw(np.random.default_rng(seed), repetitions, last.tasks, last.seeds, plan.reach)
    ended = first_verdicts(drawn, plan).look
    high, low = np.zeros(repetitions, np.bool_), np.zeros(repetitions, np.bool_)
    for look in plan.looks:
        mine = ended == look.number
        seen = part(drawn, look)
        score, worth = difference(seen, 1 - world.kept, plan.reach).score, gain(seen, plan.reach).score
        high |= mine & (score > look.safe) & (worth > look.safe)
        low |= mine & (score < -look.harm) & (worth > look.harm)
    pairs = [_points(drawn, plan, at, int(ended[at])) for at in range(min(points, repetitions))]
    above = np.array(pairs, dtype=np.float64).reshape(-1, 2) > world.kept
    mean = above.mean(axis=0) if len(above) else np.full(2, np.nan)
    return Covered(float(high.mean()), float(low.mean()), float(mean[0]), float(mean[1]))


def futile(world: World, plan: LookPlan, repetitions: int, seed: int) -> Float[np.ndarray, 2]:
    """Return the share of tests that futility ends, and the share that it ends and that would have been called safe."""
    last = plan.looks[-1]
    drawn = world.draw(np.random.default_rng(seed), repetitions, last.tasks, last.seeds, plan.reach)
    claims = first_verdicts(drawn, plan)
    stopped = np.zeros(repetitions, np.bool_)
    for look in plan.looks[:-1]:
        tested = difference(part(drawn, look), MARGIN, plan.reach)
        going: Int[np.ndarray, " open"] = np.flatnonzero((claims.look > look.number) & ~stopped)
        stopped[going] = [is_futile(_one(tested, int(at)), plan, look.number) for at in going]
    return np.array([stopped.mean(), (stopped & (claims.verdict == 1)).mean()])


def promised(world: World, plan: LookPlan, repetitions: int, seed: int, number: int) -> Float[np.ndarray, 2]:
    """Return the mean conditional power at the truth of tests open at a look, and the share called safe later."""
    last = plan.looks[-1]
    drawn = world.draw(np.random.default_rng(seed), repetitions, last.tasks, last.seeds, plan.reach)
    claims, look = first_verdicts(drawn, plan), plan.looks[number - 1]
    tested = difference(part(drawn, look), MARGIN, plan.reach)
    going = np.flatnonzero((claims.look > number) | (claims.verdict == 0))
    truth = (world.kept - 1 + MARGIN) * world.gain
    ends = (truth - tested.mean[going]) / tested.error[going]
    chance = [
        conditional_power(_one(tested, int(at)), plan, number, float(end)) for at, end in zip(going, ends, strict=True)
    ]
    return np.array([np.mean(chance), (claims.verdict[going] == 1).mean()])


def _one(tested: Estimate, at: int) -> Estimate:
    fields = (np.asarray(getattr(tested, field.name)[at]) for field in dataclasses.fields(Estimate))
    return Estimate(*fields)


def _points(drawn: PairedReturns, plan: LookPlan, at: int, number: int) -> tuple[float, float]:
    """Return the median-unbiased and the plain kept share of one repetition at the look where it ended."""
    look = plan.looks[number - 1]
    seen = PairedReturns(
        drawn.compressed[at, : look.tasks, : look.seeds],
        drawn.uncompressed[at, : look.tasks, : look.seeds],
        drawn.random[at, : look.tasks],
    )
    result = judge(seen, MARGIN, plan.reach, look)
    return median_unbiased_kept(result, plan, MARGIN), result.kept.point
