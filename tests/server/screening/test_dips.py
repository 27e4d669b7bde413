"""Dips end to end: a policy whose slots are broken but for a few is screened at neighbouring counts."""

from __future__ import annotations

import pytest
import torch

import attnscope
from attnscope.screens.dips import dips
from attnscope_model.compression import Compression
from attnscope_model.strategies import strategy
from planted import Planted, planted_policy

CONTEXT = 24
WORKS = 11
"""Slot of the query, beside that of a full context, at which the policy can read the newest transition."""

COUNTS = range(7, 16)


@pytest.fixture(scope="module", params=[True, False], ids=["broken", "sound"])
def found(request, histories_of):
    """Return whether slots were broken, and the screen of the newest transitions under both position policies.

    The policy acts on the newest transition alone. Its slots are broken but for those at which the newest transition
    and the query stand in a context of 11 transitions and in a full one: so was a policy that was trained at such
    lengths only.
    """
    policy = planted_policy(Planted(1, reads="action", context_length=CONTEXT))
    if request.param:
        sound = [WORKS - 1, WORKS, CONTEXT - 2, CONTEXT - 1]
        broken = [slot for slot in range(CONTEXT) if slot not in sound]
        policy.position.data[broken] = policy.position.data[broken].roll(3, dims=0)
    histories = histories_of(policy, steps=120, rollouts=6)
    histories.task[:] = [0, 0, 0, 1, 1, 1]
    arms = [Compression(strategy("recency"), count, stands) for stands in ("reindex", "keep") for count in COUNTS]
    with torch.inference_mode():
        return request.param, attnscope.screen(policy, histories, arms, decisions=240)


def test_a_count_that_works_is_found_where_tokens_close_up(found):
    """Under `reindex` the query stands at the slot of the count, so only 11 works; under `keep` it stays in place."""
    broken, results = found
    named = [(results.arms[dip.arm].positions, dip.count) for dip in dips(results)]
    assert named == ([("reindex", WORKS)] if broken else [])
    departs = dict(zip([(arm.positions, arm.budget) for arm in results.arms], results.tv_live.value, strict=True))
    assert (departs["reindex", WORKS - 1] > 2 * departs["reindex", WORKS]) == broken
