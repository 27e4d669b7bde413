"""Whole ladders over simulated rollouts, whose rungs share the uncompressed policy's rollouts as real ones do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attnscope_server.deciding.statistics.estimates import PairedReturns
from attnscope_server.deciding.statistics.ladder import Climb, Rung
from attnscope_server.deciding.statistics.look_plans import LookPlan
from attnscope_server.deciding.statistics.looks import Verdict
from benchmarks.calibration.claims import first_verdicts
from benchmarks.calibration.worlds import World

VERDICTS = {1: Verdict.SAFE, -1: Verdict.HARM, 0: Verdict.OPEN}


def ends(worlds: Sequence[World], plan: LookPlan, repetitions: int, seed: int) -> list[Climb]:
    """Climb one ladder in every repetition; each world is a rung, from the smallest saving to the largest."""
    last = plan.looks[-1]
    drawn = [
        world.draw(np.random.default_rng([seed, i]), repetitions, last.tasks, last.seeds, plan.reach)
        for i, world in enumerate(worlds)
    ]
    shared = [replace(rung, compressed=rung.compressed - rung.uncompressed + drawn[0].uncompressed) for rung in drawn]
    rungs = [PairedReturns(rung.compressed, drawn[0].uncompressed, rung.random) for rung in shared]
    verdicts = np.stack([first_verdicts(rung, plan).verdict for rung in rungs])
    climbs = []
    for column in verdicts.T:
        climb = Climb()
        while (at := climb.next_rung([Rung(str(i), 0) for i in range(len(worlds))])) is not None:
            climb = Climb((*climb.verdicts, VERDICTS[int(column[at])]))
        climbs.append(climb)
    return climbs
