"""Departures by the age of a compression: of whose compressions they speak."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from attnscope.figures.screens.packing import compared
from attnscope.screens.packing import packed_arms, packing_sentences
from screens import arm_of, policy_of, screen_of

STEPS = 60
ARMS = (
    arm_of(0, "latents", None, text="latents"),
    arm_of(1, "latents", None, text="latents(by=mine)", parameters={"by": "mine"}),
    arm_of(2, "recency", 8),
)


def screened():
    """Return a screen of a policy that packs 20 tokens, in which every arm departs by a tenth everywhere."""
    task = np.repeat(np.arange(8), 4)
    step = np.broadcast_to(np.arange(STEPS), (len(task), STEPS))
    results = screen_of(ARMS, np.full((len(task), 3, STEPS), 0.1), task, decision__step=step)
    packs = {"window": "compressed", "latents": 4, "packed_at": 20}
    return replace(results, policy=policy_of(20, **packs))


def test_nothing_is_said_of_when_an_installed_network_packs():
    """No description says it, so its departures are not called those right after a compression of its own."""
    results = screened()
    (said,) = packing_sentences(results)
    assert said.startswith("latents departs by 0.100 at the decision right after a compression")
    own, *others = packed_arms(results)
    assert (own.arm.index, own.packs) == (0, True)
    assert [one.packs for one in others] == [False, False]
    assert [one.arm.index for one in compared(results)] == [0, 2]
