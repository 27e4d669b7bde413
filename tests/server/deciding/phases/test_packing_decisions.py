"""A decision about a policy that packs its history: its own way to pack is an arm beside those of every rule."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pytest
import torch

from attnscope_env import LISTED
from attnscope_model.acting.packing import PackedHistory
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.strategies.learned import packing_ages
from attnscope_server.acting.errors import SlotGivenBackError
from attnscope_server.capturing.resolving import resolve
from attnscope_server.deciding.job import run
from attnscope_server.deciding.kind import KIND
from attnscope_server.deciding.phases.pasting import paste
from attnscope_server.deciding.phases.proposing import unraced_packing
from attnscope_server.deciding.phases.resolving import resolve_decision
from attnscope_server.deciding.phases.timing import memory_of
from attnscope_server.errors import ProblemError
from attnscope_server.kinds import Referred
from attnscope_server.root.children import children_of
from attnscope_storage.kinds.decision.schema import DOCUMENT, decoded
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import CaptureSpec
from attnscope_storage.wire.flops import compression_flops, forward_flops
from attnscope_storage.wire.specifications.cards import CardArm
from attnscope_storage.wire.specifications.decisions import DecisionSpec
from planted.packing import PackingRegistry, packing

CPU = torch.device("cpu")
GOALS = {"tasks": {"goals": [[4, 5], [5, 4], [3, 4], [4, 3]]}, "screening": {"goals": [[3, 3], [5, 5], [3, 5], [5, 3]]}}
ASKED = {
    "checkpoint": "stays",
    "episodes": 4,
    "worth": 1.5,
    "budgets": [20],
    "positions": ["reindex"],
    "screened": 256,
    **GOALS,
}


@pytest.fixture(scope="module")
def subject(registry):
    """Return the planted policy with a compressor beside it, and a registry that knows it so."""
    known = PackingRegistry(registry.get("stays"))
    return packing(load_policy(registry.folder("stays"), CPU)), known


@pytest.fixture(scope="module")
def decided(subject, order):
    """Return the order of a decision that ran to its answer, and its card."""
    policy, known = subject
    spec = DecisionSpec.model_validate(ASKED)
    made = order(spec, resolve_decision(spec, known))
    callbacks = {
        "stopped": lambda: False,
        "on_progress": lambda _phase, _steps: None,
        "on_commit": lambda _commit: None,
    }
    for _ in range(100):
        try:
            run(made, policy, known.get("stays"), CPU, **callbacks)
        except SlotGivenBackError:
            continue
        break
    reader = CaptureReader.open(made.path)
    assert reader.complete
    return made, decoded(reader.array(DOCUMENT)[reader.steps_committed - 1]).card


def test_the_estimate_counts_the_compressor(subject):
    """As many compressions a rollout as the policy's rhythm has are added to its whole contexts."""
    policy, known = subject
    description = policy.description
    spec = DecisionSpec.model_validate(ASKED)
    resolved = resolve_decision(spec, known)
    held, packed = PackedHistory(policy.compressor, 1), 0.0
    for _ in range(resolved.steps):
        compression = held.append(torch.zeros(1, 1, description.width))
        packed += 0 if compression is None else compression_flops(description, compression.sources)
    assert packed > 0
    contexts = resolved.steps * forward_flops(description, description.context_length)
    assert KIND.flops(spec, resolved, description) == pytest.approx(resolved.first_rollouts * (contexts + packed))
    plain = description.model_copy(update={"latents": 0, "packed_at": 0, "window": "recompute"})
    assert KIND.flops(spec, resolved, plain) < KIND.flops(spec, resolved, description)


@pytest.mark.slow
def test_what_was_captured_is_the_partner(decided):
    """Its rollouts have no latents: they are the same weights over a sliding window, and twins of what races."""
    capture = CaptureReader.open(children_of(decided[0].path)["capture"])
    assert verify(capture).ok
    assert (capture.policy.window, capture.policy.latents) == ("recompute", 0)
    assert capture.attributes["spec"]["sliding"] is True


@pytest.mark.slow
def test_the_own_way_races_within_the_budget_that_holds_its_tokens(decided):
    """Rollouts decide about it as about every rule; it takes the place of chance among the blind arms."""
    order, card = decided
    own = {arm.name: arm for arm in card.arms if arm.strategy == "latents"}
    assert own["latents, reindex, stateful"].group == "20"
    assert 14 <= own["latents, reindex, stateful"].tokens <= 20
    assert own["latents, reindex, stateful"].raced_return is not None
    race = CaptureReader.open(children_of(order.path)["race/20/round-1"])
    raced = [one["strategy"] for one in race.attributes["resolved"]["conditions"]]
    assert raced.count("latents") >= 1
    assert not any(arm.strategy == "random" for arm in card.arms if arm.group == "20" and not arm.voted_by)


@pytest.mark.slow
def test_a_way_that_keeps_more_than_is_worth_having_is_named(decided, subject):
    """It does not race under smaller budgets, and the card says how to let it."""
    order, _ = decided
    screen = CaptureReader.open(children_of(order.path)["screen"])
    smaller = order.resolved.model_copy(update={"budgets": (6,)})
    [said] = unraced_packing(screen, smaller, subject[0].description)
    assert "of 31 tokens on the average, more than the largest budget" in said
    assert unraced_packing(screen, order.resolved, subject[0].description) == ()


@pytest.mark.slow
def test_the_screen_sees_the_blind_decision(decided, subject):
    """The policy reads the newest transition alone: its own way departs at age 0 and there alone."""
    policy, _ = subject
    screen = CaptureReader.open(children_of(decided[0].path)["screen"])
    arms = [arm["parameters"] | {"name": arm["strategy"]} for arm in screen.attributes["resolved"]["arms"]]
    own = next(i for i, arm in enumerate(arms) if arm["name"] == "latents" and not (arm["newest"] or arm["once"]))
    kept = next(i for i, arm in enumerate(arms) if arm["name"] == "latents" and arm["newest"] == 1)
    step, departure = screen.array("decision/step")[:], screen.array("screen/departure")[:]
    age = np.array([-1 if one is None else one for one in packing_ages(policy.description, int(step.max()) + 1)])[step]
    assert (age == 0).sum() >= 3
    assert departure[:, own][age == 0].mean() > 0.05
    assert departure[:, own][age != 0].max() < 0.05
    assert departure[:, kept].max() < 0.05


def test_a_capture_with_latents_is_not_linked(subject):
    """A decision reads uncompressed rollouts, and the refusal says how to capture them."""
    _, known = subject
    spec = CaptureSpec.model_validate({"checkpoint": "stays", "tasks": {"goals": [[3, 3]]}, "seeds": list(range(8))})
    referred = Referred(uuid4(), spec, resolve(spec, known), 500)
    asked = DecisionSpec.model_validate(ASKED | {"capture": str(uuid4())} | {"screening": None})
    with pytest.raises(ProblemError, match=r"acted with latents there, .* uncompressed rollouts: --sliding"):
        KIND.resolve_on(asked, referred, known, LISTED)


def test_the_cards_lines_for_such_an_arm_run(subject):
    """The pasted lines decide with the policy's own contexts, and memory counts the fullest one and the packing."""
    policy, _ = subject
    arm = CardArm(
        name="latents",
        strategy="latents",
        parameters={"newest": 1},
        budget=None,
        tokens=18,
        positions="reindex",
        memory="stateful",
    )
    found = {"policy": policy, "torch": torch, "envs": 2, "device": CPU}
    exec(paste(arm, policy.description), found)  # noqa: S102 - the lines are meant to be run
    assert found["decider"].decide(np.zeros((2, 2), np.int64)).shape == (2, 5)
    memory = memory_of(arm, policy.description, 310)
    assert memory.bytes > memory.full_bytes
    assert memory.tokens == 18
    assert "as many as 31 before each compression" in memory.words
    once = memory_of(arm.model_copy(update={"parameters": {"once": True}}), policy.description, 310)
    assert once.bytes - memory.bytes > 4 * 310 * policy.description.width
    assert "the rollout's tokens, which are packed anew each time" in once.words
