"""The ladder: order, digest, stops and family-wise errors."""

import dataclasses

import numpy as np
import pytest
from benchmarks.calibration.ladders import ends
from benchmarks.calibration.worlds import World

from attnscope_server.deciding.statistics.ladder import Climb, End, Ladder, Rung
from attnscope_server.deciding.statistics.look_plans import seeds_plan
from attnscope_server.deciding.statistics.looks import Verdict

SAFE, HARM, OPEN = Verdict.SAFE, Verdict.HARM, Verdict.OPEN
RUNGS = (Rung("newest 64", 64), Rung("newest 32", 32), Rung("newest 16", 16))


@pytest.mark.parametrize(
    ("verdicts", "following", "end", "last_safe"),
    [
        ((SAFE,), 1, End.HOLDS, 0),
        ((SAFE, SAFE, SAFE), None, End.HOLDS, 2),
        ((SAFE, HARM), None, End.HOLDS, 0),
        ((SAFE, OPEN), None, End.HOLDS, 0),
        ((OPEN,), None, End.UNDECIDED, None),
        ((HARM,), 1, End.NONE_HOLDS, None),
        ((HARM, HARM), None, End.DO_NOT_COMPRESS, None),
        ((HARM, SAFE), None, End.NONE_HOLDS, None),
    ],
)
def test_the_climb_stops_where_a_rung_does_not_hold(verdicts, following, end, last_safe):
    """Undecided stops as inferior does; a safe rung below an inferior one gives no word."""
    climb = Climb(verdicts)
    assert (climb.next_rung(RUNGS), climb.end, climb.last_safe) == (following, end, last_safe)
    assert climb.is_contrast == (verdicts == (HARM,))


def test_the_digest_holds_everything_that_was_fixed():
    """Another order, margin, task, seed or bound gives another digest; the same ladder gives the same one."""
    ladder = Ladder(RUNGS, 0.05, "these", (1, 2, 3, 4), 7, ((4, 5, 5.6, 2.4),))
    assert dataclasses.replace(ladder).digest() == ladder.digest()
    others = [
        {"rungs": RUNGS[::-1]},
        {"margin": 0.1},
        {"reach": "beyond"},
        {"tasks": (1, 2, 3, 5)},
        {"seed_base": 8},
        {"bounds": ((4, 5, 5.6, 2.5),)},
    ]
    digests = {dataclasses.replace(ladder, **change).digest() for change in others} | {ladder.digest()}
    assert len(digests) == 7


@pytest.mark.parametrize(("shape", "allowed"), [("normal", 0.03), ("skewed", 0.045)])
def test_the_family_wise_error_of_a_ladder(shape, allowed):
    """With every rung exactly at the margin, or only the later ones, any false "safe" is as rare as one test's."""
    plan = seeds_plan(8)
    for shares in ((0.95, 0.95, 0.95), (1.0, 0.95, 0.95)):
        found = ends([World(k, shape) for k in shares], plan, 3_000, seed=1)
        true_rungs = sum(k > 0.95 for k in shares)
        wrong = np.mean([c.last_safe is not None and c.last_safe >= true_rungs for c in found])
        assert wrong <= allowed + 0.005


@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_do_not_compress_is_seldom_false_and_found_where_true(shape):
    """With the first rung at the margin the word is rarer than 3 %; where both lose a third it is the rule."""
    plan = seeds_plan(8)
    false = ends([World(0.95, shape), World(0.65, shape)], plan, 3_000, seed=2)
    assert np.mean([c.end is End.DO_NOT_COMPRESS for c in false]) <= 0.03
    true = ends([World(0.65, shape), World(0.6, shape)], plan, 500, seed=3)
    assert np.mean([c.end is End.DO_NOT_COMPRESS for c in true]) > 0.95
