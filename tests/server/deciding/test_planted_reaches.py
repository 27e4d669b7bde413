"""Policies whose dependence on the past is known by construction: what screens rank first, and what decisions say.

The truths: one must not be compressed, one may be halved, one may be cut to a tenth.
"""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pytest
import torch

import attnscope
from attnscope_env import Listings
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression import Compression
from attnscope_model.strategies import strategy
from attnscope_server.acting.errors import SlotGivenBackError
from attnscope_server.attempts.order import Order
from attnscope_server.deciding.job import run
from attnscope_server.deciding.phases.resolving import resolve_decision
from attnscope_server.deciding.phases.rollouts import Stage, axis_of
from attnscope_server.training.evaluation import episode_returns
from attnscope_storage.wire.specifications.decisions import DecisionSpec
from planted.recall import CONTEXT, HORIZON, listed, recalling, write_recalling
from reading_here import reading_here

CPU = torch.device("cpu")

TRUTHS = {"must not be compressed": CONTEXT - 1, "may be halved": 15, "may be cut to a tenth": 3}
"""Transitions back that the policy is asked for, of the 31 that its context holds."""

RULES = ("recency", "sinks", "uniform", "random", "decay", "dedup", "rewards", "relevant", "hierarchical", "merging")


@pytest.fixture(autouse=True)
def _one_thread():
    """Leave the other cores to other tests."""
    torch.set_num_threads(1)


@pytest.mark.parametrize("reach", TRUTHS.values(), ids=TRUTHS)
def test_the_policy_needs_its_reach_and_nothing_else(reach):
    """Its answers are right on whole contexts; with the newest n transitions as often as n of its reach are kept."""
    room = Listings([listed(reach)]).preset(f"recall-{reach}")
    policy, tasks = recalling(reach), room.tasks("test")[:4]
    late = episode_returns(policy, room, tasks, rollouts=4, episodes=3)[..., 1:].mean()
    assert late > 0.98 * HORIZON
    for kept in (15, 7, 3):
        arm = Compression(strategy("recency"), kept)
        shortened = episode_returns(policy, room, tasks, rollouts=4, episodes=3, setup=arm)[..., 1:].mean()
        known = min(1.0, kept / reach)
        assert abs(shortened / HORIZON - (known + (1 - known) / 4)) < 0.06


@pytest.mark.parametrize("reach", TRUTHS.values(), ids=TRUTHS)
def test_the_screen_ranks_what_keeps_the_planted_transitions_first(reach):
    """The newest depart least at counts that hold all needed transitions; at smaller ones every rule departs."""
    room, policy = Listings([listed(reach)]).preset(f"recall-{reach}"), recalling(reach)
    tasks = room.tasks("train")
    stage = Stage(
        policy=policy,
        environments=lambda axis: room.make_vector([room.task(int(index)) for index in axis.task]),
        name=room.environment_id,
        device=CPU,
        steps=3 * HORIZON,
        episodes=3,
        temperature=1.0,
        most_rewards=None,
        stopped=lambda: False,
        advanced=lambda _share: None,
    )
    _, histories = stage.captured(axis_of([task.index for task in tasks], 0, 2))
    counts = (15, 7, 3)
    arms = [Compression(strategy(rule), count, "keep") for count in counts for rule in RULES]
    with torch.inference_mode():
        found = attnscope.screen(policy, histories, arms, decisions=160)
    departures = np.array(found.tv_live.value).reshape(len(counts), len(RULES))
    newest, blind = departures[:, 0], departures[:, [RULES.index("uniform"), RULES.index("random")]]
    for at, count in enumerate(counts):
        if count < reach:
            assert departures[at].min() > 0.2
        else:
            assert newest[at] < 0.01
            assert newest[at] <= departures[at].min() + 1e-6
            assert blind[at].min() > 0.1


@pytest.fixture
def decided(tmp_path):
    """Return a function that decides about the policy of a reach, and gives the decision."""

    def decide(reach):
        registry = CheckpointRegistry(tmp_path / "registry")
        write_recalling(tmp_path / "made", reach)
        with reading_here():
            info = registry.add(tmp_path / "made")
        listings = Listings([listed(reach)])
        spec = DecisionSpec.model_validate(
            {
                "checkpoint": info.name,
                "tasks": {"split": "test"},
                "screening": {"split": "train"},
                "episodes": 3,
                "worth": 2.0,
            }
        )
        resolved = resolve_decision(spec, registry, listings)
        job = str(uuid4())
        order = Order(job, "me", spec, resolved, tmp_path / f"{job}.zarr", durable=False, listings=listings)
        policy = load_policy(registry.folder(info.id), CPU)
        callbacks = {"stopped": lambda: False, "on_progress": lambda _phase, _steps: None, "on_commit": lambda _: None}
        while True:
            try:
                run(order, policy, info, CPU, **callbacks)
            except SlotGivenBackError:
                continue
            return attnscope.open_decision(order.path)

    return decide


@pytest.mark.slow
def test_a_policy_that_must_not_be_compressed_is_not(decided):
    """All of its context is asked for with equal chance: every budget loses more than the margin."""
    card = decided(TRUTHS["must not be compressed"]).card
    assert card.answer == "do not compress", card.sentence


@pytest.mark.slow
def test_a_policy_that_may_be_halved_is_halved(decided):
    """Of 31 transitions the newest 15 hold all that is asked for; 7 of them, whichever, do not."""
    card = decided(TRUTHS["may be halved"]).card
    assert card.answer == "compress to", card.sentence
    assert card.chosen.budget == 15


@pytest.mark.slow
def test_a_policy_that_may_be_cut_to_a_tenth_is_cut(decided):
    """The newest 3 of 31 hold all that is asked for."""
    card = decided(TRUTHS["may be cut to a tenth"]).card
    assert card.answer == "compress to", card.sentence
    assert card.chosen.budget == 3
