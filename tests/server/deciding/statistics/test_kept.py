"""The kept ratio: Fieller's formula, agreement with the test, coverage."""

import numpy as np
import pytest
from benchmarks.calibration.worlds import World

from attnscope_server.deciding.statistics.estimates import PairedReturns, difference
from attnscope_server.deciding.statistics.kept import kept
from attnscope_server.deciding.statistics.look_plans import Reach, seeds_plan, tasks_plan
from attnscope_server.deciding.statistics.looks import Verdict, judge


def one(drawn, repetition=0):
    """Return one repetition of simulated returns."""
    return PairedReturns(drawn.compressed[repetition], drawn.uncompressed[repetition], drawn.random[repetition])


def test_the_limits_are_the_roots_of_fiellers_quadratic():
    """With equal tails and no skewness the limits solve N² − 2κND + κ²D² = t² Var(N − κD)."""
    generator = np.random.default_rng(1)
    half = generator.standard_normal((2, 8, 50))
    up, down = np.concatenate([half, -half], 2)  # symmetric, so that the guard does not act
    paired = PairedReturns(9 + up, 10 + down, np.zeros(8))
    named = kept(paired, 0.05, Reach.THESE, 1.96, 1.96)
    assert named.point == pytest.approx(0.9)
    n, d = 9.0, 10.0
    v_n, v_d, c = ((a * b).sum() / 99 / 100 / 64 for a, b in ((up, up), (down, down), (up, down)))
    square = 1.96**2
    a, b, rest = d * d - square * v_d, -2 * (n * d - square * c), n * n - square * v_n
    roots = np.sort(np.roots([a, b, rest]))
    assert [named.low, named.high] == pytest.approx(roots.tolist(), abs=2e-4)


@pytest.mark.parametrize("shape", ["normal", "skewed"])
@pytest.mark.parametrize("reach", list(Reach))
def test_a_verdict_is_what_its_interval_says(shape, reach):
    """Non-inferior exactly where the interval lies above 95 %, inferior exactly where it lies below."""
    look = (seeds_plan(8) if reach is Reach.THESE else tasks_plan(16)).looks[1]
    drawn = World(0.95, shape, spread=0.3).draw(np.random.default_rng(2), 20, look.tasks, look.seeds, reach)
    moved = np.linspace(-1.6, 1.6, 20)[:, None, None]
    seen = set()
    for repetition in range(20):
        paired = one(PairedReturns(drawn.compressed + moved, drawn.uncompressed, drawn.random), repetition)
        result = judge(paired, 0.05, reach, look)
        assert (result.verdict is Verdict.SAFE) == (result.kept.low > 0.95)
        assert (result.verdict is Verdict.HARM) == (result.kept.high < 0.95)
        assert result.kept.low < result.kept.point < result.kept.high
        seen.add(result.verdict)
    assert len(seen) == 3


@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_the_interval_covers(shape):
    """95 % intervals hold the truth in 95 % of simulated trials, or slightly more: the test of it does not reject."""
    drawn = World(0.9, shape, spread=0.3).draw(np.random.default_rng(3), 20_000, 8, 10, Reach.THESE)
    score = difference(drawn, 0.1, Reach.THESE).score
    assert 0.945 <= (np.abs(score) <= 1.96).mean() <= 0.97
    for repetition in range(20):
        found = kept(one(drawn, repetition), 0.1, Reach.THESE, 1.96, 1.96)
        assert (found.low <= 0.9 <= found.high) == (abs(score[repetition]) <= 1.96)


def test_a_gain_lost_in_noise_has_no_limits():
    """If the gain is not positive at the bound, the ratio has no finite limit and no verdict."""
    generator = np.random.default_rng(4)
    paired = PairedReturns(generator.standard_normal((8, 10)), generator.standard_normal((8, 10)), np.zeros(8))
    result = judge(paired, 0.05, Reach.THESE, seeds_plan(8).looks[1])
    assert result.verdict is Verdict.OPEN
    assert (result.kept.low, result.kept.high) == (-np.inf, np.inf)


def test_a_look_judges_its_own_rollouts():
    """Returns of another size than the look's are refused."""
    drawn = one(World(0.9).draw(np.random.default_rng(5), 1, 8, 20, Reach.THESE))
    with pytest.raises(ValueError, match="8 tasks × 10 seeds, got 8 × 20"):
        judge(drawn, 0.05, Reach.THESE, seeds_plan(8).looks[1])


def test_an_arm_that_is_its_twin_keeps_all():
    """If every rollout is that of the uncompressed policy, the share kept is 1, and no limit is not a number."""
    up = np.random.default_rng(3).standard_normal((8, 5)) + 5
    found = kept(PairedReturns(up, up, np.zeros(8)), 0.05, Reach.THESE, 2.0, 2.0)
    assert found.point == 1
    assert found.low <= 1 <= found.high
