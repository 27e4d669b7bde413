"""Operations and times of arms that pack: a whole cycle is timed, and estimates count the compressor."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attnscope_model.acting.packing import OnceHistory, PackedHistory
from attnscope_model.compression import Compression
from attnscope_model.compression.deciding import CompressedDecider
from attnscope_model.compression.packed import decisions_between
from attnscope_model.strategies import strategy
from attnscope_model.strategies.learned import most_packed, packing_memory, packing_work
from attnscope_server.capturing.sizing import capture_flops
from attnscope_server.trials import speed
from attnscope_server.trials.acting import Recorded
from attnscope_server.trials.sizing import packing_flops, packing_moment
from attnscope_server.trials.speed import SpeedMeter
from attnscope_storage.wire.flops import compression_flops, forward_flops, packing_bytes
from attnscope_storage.wire.packing import rhythm_of
from attnscope_storage.wire.specifications.trials import SpeedChoice
from planted import Planted, planted_policy
from planted.packing import LATENTS, Means, packing

PACKING = 1_000
"""Tokens that a compression counts as on the clock of these tests."""


@pytest.fixture(scope="module")
def policy():
    """Return a policy of 31 transitions that packs them into four latents."""
    return packing(planted_policy(Planted(back=1)))


@pytest.fixture
def measured(monkeypatch, policy):
    """Let the clock be the tokens that the policy was given, and so many more at a compression; time an arm."""
    clock, forward, compress = [0.0], type(policy).forward, Means.compress

    def counting(self, tokens, summaries=0):
        clock[0] += tokens.shape[0] * tokens.shape[1]
        return forward(self, tokens, summaries)

    def packed(self, held, tokens):
        clock[0] += PACKING
        return compress(self, held, tokens)

    monkeypatch.setattr(type(policy), "forward", counting)
    monkeypatch.setattr(Means, "compress", packed)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])
    recorded, random = Recorded(), np.random.default_rng(0)
    for _ in range(70):
        recorded.observation.append(random.integers(0, 9, (1, 2)))
        recorded.action.append(random.integers(0, 5, 1))
        recorded.reward.append(np.zeros(1, np.float32))
        recorded.reached.append(random.integers(0, 9, (1, 2)))
        recorded.ended.append(np.zeros(1, bool))

    def measure(**parameters):
        choice = SpeedChoice(envs=(1,), decisions=4, rounds=1)
        setups = [Compression(strategy("latents", **parameters), memory="stateful")]
        with torch.inference_mode():
            return SpeedMeter(policy, torch.device("cpu"), recorded, choice, lambda: None).measure(setups)[0]

    return measure


@pytest.mark.parametrize("newest", [0, 5])
def test_a_whole_cycle_is_timed(measured, newest):
    """A compression counts as often as it comes: once in as many decisions as it makes room for."""
    found = measured(newest=newest)
    cycle = 31 - LATENTS - newest
    held = [*range(newest, newest + cycle)]
    tokens = [1 + joined + (LATENTS if joined else 0) for joined in held]
    tokens[-1] += PACKING
    expected = np.mean([np.mean(part) for part in np.array_split(tokens, 4)])
    assert found.seconds[1, 0, 1, 0] == pytest.approx(expected, rel=1e-6)


def test_the_cycle_is_that_of_the_compressor(policy):
    """Transitions that stay shorten it; everything older packed at once has none."""
    assert decisions_between(strategy("latents"), policy) == 27
    assert decisions_between(strategy("latents", newest=20), policy) == 7
    assert decisions_between(strategy("latents", once=True), policy) == 1


@pytest.mark.parametrize("steps", [1, 30, 31, 32, 58, 59, 200])
def test_a_captures_estimate_counts_every_context_and_compression(policy, steps):
    """As a history that is packed step by step has them."""
    description = policy.description
    assert description.compressor_layers > 0
    held, total = PackedHistory(policy.compressor, 1), 0.0
    for _ in range(steps):
        total += forward_flops(description, held.length)
        compression = held.append(torch.zeros(1, 1, description.width))
        total += 0 if compression is None else compression_flops(description, compression.sources)
    found = capture_flops(SimpleNamespace(steps=steps, envs=3), description)
    assert found == pytest.approx(3 * total, rel=1e-9)


def test_the_rhythm_is_that_of_the_history(policy):
    """Compressions, their steps and their sources follow from the description alone."""
    rhythm, held, found = rhythm_of(policy.description), PackedHistory(policy.compressor, 1), []
    for step in range(120):
        assert rhythm.compressions(step) == len(found)
        compression = held.append(torch.zeros(1, 1, policy.description.width))
        if compression is not None:
            number = len(found)
            packed = rhythm.sources if number else rhythm.first_sources
            assert (compression.step, compression.sources) == (rhythm.step(number), packed)
            found.append(step)
    assert len(found) == 4
    assert rhythm_of(policy.description.unpacked()) is None


@pytest.mark.parametrize("parameters", [{}, {"newest": 5}, {"once": True}], ids=["own", "newest", "once"])
def test_an_arms_work_is_that_of_its_contexts(policy, parameters):
    """Over a rollout it adds up to what the contexts of a trial count, but for a cycle that is not whole."""
    rule = strategy("latents", **parameters)
    lanes, steps, width = torch.arange(1), 310, policy.description.width
    decider = CompressedDecider(policy, [Compression(rule, memory="stateful")], lanes, torch.device("cpu"))
    context, counted = decider.contexts[0], 0.0
    for _ in range(steps):
        counted += context.beside()
        context.append({"embedded": torch.zeros(1, width)})
    found = packing_work(rule, policy.description, np.arange(steps))
    assert counted > 0
    assert found.sum() == pytest.approx(counted, rel=0.12 if not rule.once else 1e-9)
    condition = SimpleNamespace(strategy="latents", parameters=rule.parameters)
    assert packing_flops(condition, steps, policy.description) == pytest.approx(found.sum())
    assert np.isnan(packing_work(strategy("latents", by="mine"), policy.description, np.arange(3))).all()


@pytest.mark.parametrize("steps", [30, 31, 32, 52, 53, 58, 200])
@pytest.mark.parametrize("parameters", [{}, {"newest": 5}, {"once": True}], ids=["own", "newest", "once"])
def test_an_arms_memory_is_that_of_its_largest_compression(policy, parameters, steps):
    """Transitions that stay are not packed, nor those with room beside once; a short rollout packs nothing."""
    rule, shape = strategy("latents", **parameters), policy.description
    newest = parameters.get("newest", 0)
    held = (
        OnceHistory(policy.compressor, 1, shape.packed_at)
        if rule.once
        else PackedHistory(policy.compressor, 1, newest=newest)
    )
    found = [held.append(torch.zeros(1, 1, shape.width)) for _ in range(steps)]
    most = max((one.sources for one in found if one is not None), default=0)
    assert (most > 0) == (steps > 30 + rule.once)
    assert most_packed(rule, shape, steps) == most
    condition = SimpleNamespace(strategy="latents", parameters=rule.parameters)
    assert packing_moment(condition, steps, shape) == (packing_bytes(shape, most) if most else 0)
    assert packing_memory(strategy("latents", by="mine"), shape, steps) == 0
