"""Screens of policies that pack their history: the golden ones against the same weights over a sliding window."""

from __future__ import annotations

import lzma
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import numpy as np
import pytest
import torch

from attnscope_env import LISTED
from attnscope_model.acting.context import ContextWindow
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.strategies.spelling import spelled
from attnscope_server.acting.errors import NotReproducibleError
from attnscope_server.attempts.order import Order
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.errors import ProblemError
from attnscope_server.kinds import Referred
from attnscope_server.screening.job import plan_of, run_screen
from attnscope_server.screening.judging import own_logits
from attnscope_server.screening.kind import KIND
from attnscope_server.screening.stored import StoredHistories
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import CaptureSpec
from attnscope_storage.wire.specifications.screens import ScreenSpec
from reading_here import reading_here

CPU = torch.device("cpu")
GOLDEN = Path(__file__).resolve().parents[2] / "golden"
ALLOWED = {"cad": 6.4e-5, "rad": 2.9e-5}
"""Ten times the largest distance of an independent forward in double precision from the originals."""
STEPS = 100
ARMS = [{"name": "latents"}, {"name": "latents", "parameters": {"newest": 2}}, {"name": "recency"}, {"name": "none"}]


@pytest.fixture(scope="module", params=list(ALLOWED))
def golden(request, tmp_path_factory):
    """Return each golden policy with captures of it: as it acts by itself, and over a sliding window."""
    name, folder = request.param, tmp_path_factory.mktemp("screens")
    registry, numbers = CheckpointRegistry(folder / "registry"), dict(np.load(GOLDEN / name / "golden.npz"))
    (folder / f"{name}.pt").write_bytes(lzma.decompress((GOLDEN / name / "ckpt-50000.pt.xz").read_bytes()))
    with reading_here():
        info = registry.add(folder / f"{name}.pt", name=name)
    policy = load_policy(registry.folder(info.id), CPU)
    found = SimpleNamespace(name=name, folder=folder, registry=registry, numbers=numbers, info=info, policy=policy)

    def captured(*, sliding):
        asked = {"tasks": {"goals": numbers["goal"].tolist()}, "steps": STEPS, "sampling": {"mode": "greedy"}}
        spec = CaptureSpec.model_validate({"checkpoint": name, "maps": {"count": 0}, "sliding": sliding, **asked})
        resolved, store = resolve(spec, registry), uuid4()
        order = CaptureOrder("capture", "me", spec, resolved, folder / f"{store}.zarr", durable=False)
        run_capture(order, policy, info, CPU)
        return Referred(store, spec, resolved, STEPS)

    found.own, found.sliding = captured(sliding=False), captured(sliding=True)
    return found


def ordered(golden, referred, **changes):
    """Return the order of a screen of a capture."""
    asked = {"capture": uuid4(), "strategies": ARMS, "budgets": [6], "positions": ["reindex"], "decisions": 2 * STEPS}
    spec = ScreenSpec.model_validate(asked | changes)
    resolved = KIND.resolve_on(spec, referred, golden.registry, LISTED)
    return Order("screen", "me", spec, resolved, golden.folder / f"{uuid4()}.zarr", durable=False)


@pytest.fixture(scope="module")
def screened(golden):
    """Return the screen of every decision of the policy's own capture, and its order."""
    order = ordered(golden, golden.own)
    run_screen(order, golden.policy, golden.info, CPU)
    return order, CaptureReader.open(order.path)


def shares(logits):
    """Return the distribution of actions."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_departures_are_the_originals_from_the_same_weights_without_latents(golden, screened):
    """Own logits are the golden ones within ten times their error, and departures are theirs from the partner's."""
    order, reader = screened
    assert verify(reader).ok, verify(reader).problems
    plan = plan_of(order.spec, order.resolved)
    histories = StoredHistories(CaptureReader.open(golden.folder / f"{golden.own.store}.zarr"), STEPS, rows=False)
    own = own_logits(golden.policy, histories.read(plan.rollouts), plan.steps, CPU)
    expected = np.moveaxis(golden.numbers["logits"][:STEPS], 0, 1)
    assert np.array_equal(plan.steps[0], np.arange(STEPS))
    assert np.abs(own - expected).max() <= ALLOWED[golden.name]
    assert (golden.numbers["compression_step"] < STEPS - 1).sum() >= 3
    partner = reader.array("policy/logits")[:]
    departure = reader.array("screen/departure")[:][:, 0]
    assert [arm.strategy for arm in order.resolved.arms] == ["latents", "latents", "recency", "none"]
    assert np.abs(departure - np.abs(shares(partner) - shares(expected)).sum(axis=-1) / 2).max() <= ALLOWED[golden.name]
    assert np.array_equal(reader.array("screen/flip")[:][:, 0] == 1, partner.argmax(-1) != expected.argmax(-1))
    assert departure.max() > 0.1
    assert np.abs(reader.array("screen/departure")[:][:, 3]).max() == 0


def test_the_partner_sees_the_newest_transitions_alone(golden, screened):
    """Uncompressed logits are those of the policy over its newest N − 1 transitions, on the histories of its own."""
    capture, per = CaptureReader.open(golden.folder / f"{golden.own.store}.zarr"), golden.policy.description
    window = ContextWindow(golden.policy, 2, CPU)
    names = ("observation", "action", "reward", "next_observation")
    steps = {name: capture.array(f"rollout/{name}")[:] for name in names}
    for step in range(STEPS):
        with torch.inference_mode():
            logits = golden.policy(window.tokens(steps["observation"][step])).numpy()
        assert np.abs(logits - screened[1].array("policy/logits")[:][:, step]).max() < 1e-4
        window.append(*(steps[name][step] for name in names))
    assert window.capacity == (per.context_length - 1) // per.tokens_per_transition


def test_tokens_of_latents_are_counted(golden, screened):
    """The arm keeps what the original's contexts had beside the query, latents among them."""
    kept = screened[1].array("screen/kept")[:][:, 0]
    assert np.array_equal(kept, np.tile(golden.numbers["tokens"][:STEPS] - 1, (2, 1)))


def test_without_named_rules_the_policys_own_ways_are_screened(golden):
    """They come once whatever positions there are; rules that look at attention need a sliding capture."""
    of_own = ordered(golden, golden.own, strategies=None, positions=None).resolved
    packing = [spelled(arm.strategy, arm.parameters) for arm in of_own.arms if arm.strategy == "latents"]
    half = (golden.policy.description.context_length - 2 - golden.policy.description.latents) // (
        2 * golden.policy.description.tokens_per_transition
    )
    once = ["latents(once=True)"] if golden.name == "cad" else []
    assert packing == ["latents", "latents(newest=1)", f"latents(newest={half})", *once]
    assert "capture with --sliding" in of_own.notes[0]
    assert "tova" not in {arm.strategy for arm in of_own.arms}
    with pytest.raises(ProblemError, match="capture with --sliding"):
        ordered(golden, golden.own, strategies=[{"name": "tova"}])


def test_a_sliding_capture_is_the_partners_and_takes_every_rule(golden):
    """It has no latents, its attention is stored for all rules, and the policy's own way departs from it."""
    reader = CaptureReader.open(golden.folder / f"{golden.sliding.store}.zarr")
    assert verify(reader).ok
    assert (reader.policy.window, reader.policy.latents) == ("recompute", 0)
    assert "context/summaries" not in reader.root.arrays
    order = ordered(golden, golden.sliding, strategies=[*ARMS[:1], {"name": "tova"}], decisions=64)
    assert order.resolved.rows
    run_screen(order, golden.policy, golden.info, CPU)
    screen = CaptureReader.open(order.path)
    step = screen.array("decision/step")[:]
    departure = screen.array("screen/departure")[:][:, 0]
    first = int(golden.numbers["compression_step"][0])
    assert np.abs(departure[step <= first]).max() < 1e-5
    assert departure[step > first].max() > 0.1
    assert np.isfinite(screen.array("screen/retained")[:]).all()


def test_another_checkpoint_than_the_captures_is_found(golden):
    """Own decisions are held against the stored ones, though the screen's uncompressed ones are others."""
    other = load_policy(golden.registry.folder(golden.info.id), CPU)
    with torch.no_grad():
        other.head.bias += 1.0
        other.head.weight *= 1.5
    with pytest.raises(NotReproducibleError, match="logits up to"):
        run_screen(ordered(golden, golden.own), other, golden.info, CPU)
