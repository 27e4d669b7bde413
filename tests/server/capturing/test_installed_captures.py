"""Captures of policies whose older history an installed compressor packs."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import uuid4

import numpy as np
import pytest
import torch

import attnscope
from attnscope.errors import NotCapturedError
from attnscope.study.latents import LatentStudy, latent_sentences
from attnscope_model.acting.latents import leave_one_latent_out
from attnscope_model.acting.replay import check, read_moment, replay
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.compression import Compression
from attnscope_model.compression.deciding import CompressedDecider
from attnscope_model.compression.packing_policy import packing_policy
from attnscope_model.errors import CompressionUnfitError
from attnscope_model.strategies import strategy
from attnscope_server.capturing import compressor
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.capturing.rollout import RolloutStoppedError
from attnscope_server.capturing.sizing import capture_flops, compressions_flops
from attnscope_server.capturing.trying import answer
from attnscope_server.errors import ProblemError
from attnscope_storage.reading.decoded import DecodedChunks
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import CaptureSpec
from packing_package import install_compressors

CPU = torch.device("cpu")
STEPS = 24
TASKS = {"goals": [(5, 4), (2, 7)]}
IN_A_PROCESS = compressor._tried
ENDS = [5, 10, 15, 20]
"""Steps after which the package packs."""


@pytest.fixture(scope="module", autouse=True)
def _package(tmp_path_factory):
    """Install the package, and ask it in this process, which has torch already."""
    with pytest.MonkeyPatch.context() as patch:
        install_compressors(tmp_path_factory.mktemp("package"), patch)
        patch.setattr(compressor, "_tried", lambda folder, name, _installation: answer(folder, name))
        yield


@pytest.fixture(scope="module")
def capture(registry):
    """Return a function that captures a rollout."""

    def run(path, name="looking", stopped=lambda: False, resolved=None, **changes):
        asked = {"checkpoint": "causal", "tasks": TASKS, "steps": STEPS, "compressor": name}
        spec = CaptureSpec.model_validate({**asked, "sampling": {"mode": "greedy"}, "maps": {"count": 0}, **changes})
        meaning = resolve(spec, registry) if resolved is None else resolved
        order = CaptureOrder(str(uuid4()), "local", spec, meaning, path, durable=False)
        info = registry.get("causal")
        run_capture(order, load_policy(registry.folder(info.id), CPU), info, CPU, stopped=stopped)
        return CaptureReader.open(path)

    return run


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return where a rollout is captured whose history was packed four times."""
    return tmp_path_factory.mktemp("packed") / "looking.zarr"


@pytest.fixture(scope="module")
def packed(capture, stored):
    """Return that rollout."""
    return capture(stored)


@pytest.fixture
def opened(packed, stored):
    """Return it as its users open it."""
    assert packed.complete
    return attnscope.open(stored)


def test_slots_say_what_they_stand_for(packed, opened):
    """Latents are summaries of everything before the compression, with their generation; the store verifies."""
    assert verify(packed).ok
    by = opened.policy.packed_by
    assert (by.name, by.package, by.latents, by.layers, by.heads) == ("looking", "packing-here 1.5", 2, 1, 3)
    assert opened.policy.window == "compressed"
    assert opened.origin.mask.endswith("packed into latents by the installed compressor looking (packing-here 1.5)")
    summaries, length = (packed.array(f"context/{name}")[:, 0] for name in ("summaries", "length"))
    lone = [end + 1 for end in ENDS]
    assert [step for step in range(STEPS) if length[step] == 1] == [0, *lone]
    assert [step for step in range(STEPS) if summaries[step]] == [s for s in range(7, STEPS) if s not in lone]
    assert str(opened.summary(13)) == "summary of transitions 0–10, generation 2"
    mass, rows = packed.array("stats/summary")[13, 0], packed.array("attention/rows")[13, 0]
    assert mass == pytest.approx(rows[..., :2].astype(np.float32).sum(axis=-1), abs=2e-3)
    assert np.ptp(mass) > 0


def test_compressions_are_stored_and_composed(opened):
    """Steps, sources and the attention that the compressor gives; traced to transitions it still sums to 1."""
    held = opened.compressions()
    assert held.step.tolist() == ENDS
    assert held.sources.tolist() == [6, 7, 7, 7]
    assert held.attention.shape == (4, 1, 3, 2, 7)
    study = LatentStudy(opened)
    assert study.reached[-1].shape == (2, 21)
    assert study.reached[-1].sum(axis=1) == pytest.approx(1, abs=2e-3)
    assert "compression 4" in latent_sentences(study)[0]


def test_it_decides_as_the_rule_does_in_a_trial(packed, registry):
    """Every stored decision is that of the rule latents:by=looking over the same transitions."""
    policy = load_policy(registry.folder(registry.get("causal").id), CPU)
    decider = CompressedDecider(policy, [Compression(strategy("latents", by="looking"))], torch.arange(2), CPU)
    names = ("observation", "action", "reward", "next_observation", "terminated", "truncated")
    part = {name: packed.array(f"rollout/{name}")[:] for name in names}
    logits = packed.array("policy/logits")[:]
    with torch.inference_mode():
        for step in range(STEPS):
            found = decider.decide(part["observation"][step]).numpy()
            assert found == pytest.approx(logits[step], abs=2e-5), step
            assert np.array_equal(logits[step].argmax(axis=-1), part["action"][step])
            ended = (part["terminated"][step] + part["truncated"][step]) > 0
            moved = (part[name][step] for name in ("observation", "action", "reward", "next_observation"))
            decider.append(*moved, ended)


@pytest.mark.parametrize("step", [3, 6, 14])
def test_a_decision_is_replayed(packed, registry, step):
    """It is packed again from the beginning, checked against what is stored, and latents can be left out of it."""
    policy = load_policy(registry.folder(registry.get("causal").id), CPU)
    packing, chunks = packing_policy(policy, packed.policy.packed_by), DecodedChunks()
    with torch.inference_mode():
        replayed = replay(packing, read_moment(chunks, packed, step, 1), CPU)
        check(replayed, chunks, packed)
        assert len(leave_one_latent_out(packing, replayed)) == (2 if step == 14 else 0)


def test_it_goes_on_to_the_same_bits(packed, capture, tmp_path):
    """A capture that was interrupted within a generation ends with the arrays of one that was not."""
    asked = iter([False] * 13 + [True])
    with pytest.MonkeyPatch.context() as patch:
        from attnscope_storage.kinds.capture import lengths  # noqa: PLC0415 - changed here alone

        patch.setattr(lengths, "LEAST_STEPS", 1)
        patch.setattr(lengths, "CHUNK_BYTES", 2**13)
        with pytest.raises(RolloutStoppedError):
            capture(tmp_path / "again.zarr", stopped=lambda: next(asked))
        assert 0 < CaptureReader.open(tmp_path / "again.zarr").steps_committed < STEPS
        again = capture(tmp_path / "again.zarr")
    for name in ("policy/logits", "compression/latents", "compression/attention", "attention/rows", "stats/summary"):
        assert np.array_equal(again.array(name)[:], packed.array(name)[:], equal_nan=True), name


def test_a_silent_compressor_is_captured_without_attention(capture, tmp_path):
    """Everything else is stored; that its attention is not known is said."""
    reader = capture(tmp_path / "silent.zarr", "silent")
    assert verify(reader).ok
    found = attnscope.open(tmp_path / "silent.zarr")
    assert found.compressions().attention is None
    words = "the installed compressor silent gives no attention"
    with pytest.raises(NotCapturedError, match=words):
        found.compressions().looked(0)
    assert words in latent_sentences(LatentStudy(found))[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"compressor": "mine"}, r"no compressor 'mine' is installed here; installed are failing, late, looking"),
        ({"compressor": "failing"}, r"failing \(packing_here:Failing\) fails: trained for another policy"),
        ({"compressor": "late"}, r"late does not fit: it does not pack before a context of \d+ tokens is full"),
    ],
)
def test_one_that_does_not_fit_is_refused_at_submission(registry, changes, words):
    """No job is queued, and the reason names the compressor."""
    with pytest.raises(ProblemError, match=words):
        resolve(CaptureSpec.model_validate({"checkpoint": "causal", "tasks": TASKS, **changes}), registry)


@pytest.mark.slow
def test_a_process_of_its_own_tries_it(registry, packed):
    """The service loads no torch: a process answers, whatever a package prints, and a refusal keeps its words."""
    folder = registry.folder(registry.get("causal").id)
    assert IN_A_PROCESS(folder, "looking", "first").found == packed.policy.packed_by
    assert IN_A_PROCESS(folder, "failing", "first").refused.endswith("fails: trained for another policy")


def test_sliding_and_a_compressor_exclude_each_other():
    """A sliding window packs nothing."""
    with pytest.raises(ValueError, match="name sliding or a compressor, not both"):
        CaptureSpec.model_validate({"checkpoint": "causal", "sliding": True, "compressor": "looking"})


def test_one_that_changed_since_is_refused(packed, registry):
    """A worker whose package packs otherwise than where the job was submitted does not act."""
    policy = load_policy(registry.folder(registry.get("causal").id), CPU)
    changed = packed.policy.packed_by.model_copy(update={"every": 4, "package": "packing-here 1.4"})
    with pytest.raises(CompressionUnfitError, match=r"packs otherwise here \(packing-here 1.5\) .*: other every"):
        packing_policy(policy, changed)


def test_its_operations_are_counted_as_it_says(packed):
    """The compressor says its operations; those of the decisions are counted as for any policy."""
    policy = packed.policy
    assert compressions_flops(STEPS, policy) == 10 * 6 + 3 * 10 * 7
    one = SimpleNamespace(envs=1, steps=STEPS)
    silent = policy.packed(policy.packed_by.model_copy(update={"flops": 0.0, "flops_first": 0.0}))
    assert capture_flops(one, policy) - capture_flops(one, silent) == pytest.approx(270)
