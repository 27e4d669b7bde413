"""Captures of policies that pack their older history: the originals' rollouts, slots that say what they stand for."""

from __future__ import annotations

import contextlib
import lzma
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import torch
import zarr

from attnscope_model.acting.packing import PackedHistory
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.errors import CaptureInvalidError
from attnscope_model.families.packing import OwnCompressor, TransformerCompressor
from attnscope_model.forward.compressing import Packed
from attnscope_server.capturing import resolving
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.capturing.rollout import RolloutStoppedError
from attnscope_storage.errors import NotCommittedError
from attnscope_storage.kinds.capture import compressions, lengths
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import CaptureSpec
from reading_here import reading_here

CPU = torch.device("cpu")
GOLDEN = Path(__file__).resolve().parents[2] / "golden"
ALLOWED = {"cad": 6.4e-5, "rad": 2.9e-5}
"""Ten times the largest distance of an independent forward in double precision from the originals."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Return a registry with both golden policies."""
    torch.set_num_threads(1)
    registry, files = CheckpointRegistry(tmp_path_factory.mktemp("registry")), tmp_path_factory.mktemp("files")
    for name in ALLOWED:
        (files / f"{name}.pt").write_bytes(lzma.decompress((GOLDEN / name / "ckpt-50000.pt.xz").read_bytes()))
        with reading_here():
            registry.add(files / f"{name}.pt", name=name)
    return registry


@pytest.fixture(scope="module")
def capture(registry):
    """Return a function that captures a greedy rollout of the golden goals."""

    def run(path, name, steps=240, stopped=lambda: False, **changes):
        goals = np.load(GOLDEN / name / "golden.npz")["goal"].tolist()
        asked = {"tasks": {"goals": goals}, "steps": steps, "sampling": {"mode": "greedy"}, "maps": {"count": 0}}
        spec = CaptureSpec.model_validate({"checkpoint": name, **asked, **changes})
        info = registry.get(name)
        order = CaptureOrder(str(uuid4()), "local", spec, resolve(spec, registry), path, durable=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lengths, "CHUNK_BYTES", 2**13)
            patch.setattr(lengths, "LEAST_STEPS", 1)
            run_capture(order, load_policy(registry.folder(info.id), CPU), info, CPU, stopped=stopped)
        return CaptureReader.open(path)

    return run


@pytest.fixture(scope="module")
def whole(capture, registry, tmp_path_factory):
    """Return the golden rollout of each policy, captured."""
    folder = tmp_path_factory.mktemp("captures")
    policies = {name: load_policy(registry.folder(registry.get(name).id), CPU) for name in ALLOWED}
    return {"policies": policies} | {name: capture(folder / f"{name}.zarr", name) for name in ALLOWED}


@pytest.mark.parametrize("name", ALLOWED)
def test_a_capture_is_the_originals_rollout(whole, name):
    """Environment, actions, logits and decision rows past every compression, and how much each context holds."""
    reader, golden = whole[name], np.load(GOLDEN / name / "golden.npz")
    assert verify(reader).ok
    for array in ("observation", "action", "reward", "next_observation"):
        assert np.array_equal(reader.array(f"rollout/{array}")[:], golden[array]), array
    assert np.abs(reader.array("policy/logits")[:] - golden["logits"]).max() <= ALLOWED[name]
    assert np.array_equal(reader.array("context/length")[:, 0], golden["tokens"])
    assert np.array_equal(reader.array("context/summaries")[:, 1], golden["latent_tokens"])
    rows = reader.array("attention/rows")[:, 0][golden["row_step"]]
    assert np.array_equal(np.isnan(rows), np.isnan(golden["rows"]))
    assert np.nanmax(np.abs(rows - golden["rows"])) <= ALLOWED[name] + 2**-11


@pytest.mark.parametrize("name", ALLOWED)
def test_every_slot_says_which_transitions_it_stands_for(whole, name):
    """Latents stand for all before the compression, with their generation; the lone query has none in view."""
    reader, golden = whole[name], np.load(GOLDEN / name / "golden.npz")
    first, last = (reader.array(f"context/transition_{end}")[:, 0] for end in ("first", "last"))
    compressed, latents = golden["compression_step"], reader.policy.latents
    generation = reader.array("context/generation")[:, 0]
    assert np.array_equal(generation, np.searchsorted(compressed, np.arange(240)))
    assert len(compressed) >= 10
    third = int(compressed[2])
    for step in (third + 1, third + 2, third + 4):
        summaries = int(reader.array("context/summaries")[step, 0])
        assert summaries == (0 if step == third + 1 else latents)
        assert (first[step, :summaries] == 0).all()
        assert (last[step, :summaries] == third).all()
        per, length = reader.policy.tokens_per_transition, int(reader.array("context/length")[step, 0])
        own = [third + 1 + i // per for i in range(length - summaries)]
        assert first[step, summaries:length].tolist() == last[step, summaries:length].tolist() == own
        assert own[-1] == step
        assert (first[step, length:] == -1).all()
    assert reader.array("context/start")[third + 2, 0] == third + 1


@pytest.mark.parametrize("name", ALLOWED)
def test_mass_on_latents_is_told_apart(whole, name):
    """It is that of the row's first slots, and recency counts transitions alone."""
    reader = whole[name]
    rows = np.nan_to_num(reader.array("attention/rows")[:].astype(np.float64))
    latents = reader.array("context/summaries")[:]
    front = np.arange(rows.shape[-1]) < latents[:, :, None, None, None]
    mass = reader.array("stats/summary")[:]
    assert np.allclose(mass, (rows * front).sum(axis=-1), atol=2e-3)
    assert (mass[latents == 0] == 0).all()
    assert mass[latents > 0].min() > 0
    recent, own = reader.array("stats/recency")[..., -1], reader.array("stats/self")[:]
    assert np.allclose((mass + recent + own)[reader.array("context/length")[:] <= 20], 1, atol=1e-5)


def test_an_interrupted_capture_ends_with_the_same_bits(capture, tmp_path):
    """Histories are packed again from the rollout's start, so every array is that of one without interruption."""
    once = capture(tmp_path / "once.zarr", "cad", steps=90)
    path = tmp_path / "resumed.zarr"
    for stop_at in (35, 70):
        asked = iter(range(1000))
        with contextlib.suppress(RolloutStoppedError):
            capture(path, "cad", steps=90, stopped=lambda asked=asked, stop_at=stop_at: next(asked) >= stop_at)
        assert 0 < CaptureReader.open(path).steps_committed < 90
    resumed = capture(path, "cad", steps=90)
    for array in once.root.arrays:
        assert np.array_equal(once.array(array)[:], resumed.array(array)[:], equal_nan=True), array


@pytest.mark.parametrize("name", ALLOWED)
def test_other_forms_of_rows_and_maps_hold(capture, tmp_path, name):
    """Bins and curves leave latents out and are checked so; a sampled map's last row is the decision row."""
    options = {"steps": 60, "rows": {"form": "bins", "exact": [0], "curve": True}, "maps": {"steps": [40, 59]}}
    reader = capture(tmp_path / "bins.zarr", name, **options)
    assert verify(reader).ok
    length = int(reader.array("context/length")[59, 0])
    maps, row = reader.array("attention/maps")[1, 0], reader.array("attention/rows")[59, 0]
    assert np.allclose(maps[..., length - 1, :length], row[..., :length], atol=1e-3)
    above = np.nan_to_num(maps[..., 0, 1:length])
    assert (above.max() > 0) == (name == "cad")


def test_slots_that_do_not_fit_are_found(capture, tmp_path, monkeypatch):
    """A wrong range of transitions is noted by the check of a store."""
    original = PackedHistory.transitions

    def wrong(self, slots):
        first, last = original(self, slots)
        return first, np.where(last > 30, last - 1, last).astype(np.int32)

    monkeypatch.setattr(PackedHistory, "transitions", wrong)
    report = verify(capture(tmp_path / "wrong.zarr", "cad", steps=40))
    assert not report.ok
    assert "context/transition_first at step 32, env 0 does not fit the context's slots" in str(report)


@pytest.mark.parametrize("name", ALLOWED)
def test_each_compression_is_stored_as_the_original_packed(whole, name):
    """Steps, sources and latents of both environments, and the attention of the first one's compressor."""
    reader, golden = whole[name], np.load(GOLDEN / name / "golden.npz")
    compressed, kept = golden["compression_step"], len(golden["compression_cross"])
    assert np.array_equal(reader.array("compression/step")[:], compressed)
    assert np.array_equal(reader.array("compression/sources")[:], golden["compression_input_tokens"])
    latents = golden["latents"]
    if name == "rad":  # stored as the next compression takes them, with their kind
        latents = latents + whole["policies"][name].latent_type.numpy()
    assert np.abs(reader.array("compression/latents")[: len(latents)] - latents).max() <= ALLOWED[name]
    assert reader.array("compression/env")[:].tolist() == [0, 1]
    cross, expected = reader.array("compression/attention")[:kept, 0], golden["compression_cross"]
    width = cross.shape[-1]
    assert np.array_equal(np.isnan(cross), np.isnan(expected[..., :width]))
    assert np.isnan(expected[..., width:]).all()
    assert np.nanmax(np.abs(cross - expected[..., :width])) <= ALLOWED[name] + 2**-11
    assert len(reader.array("compression/attention")[:]) == len(compressed)


def test_a_running_capture_commits_compressions_with_their_steps(capture, tmp_path):
    """Whoever reads a capture that was stopped sees those of the committed steps, and no others."""
    path, asked = tmp_path / "stopped.zarr", iter(range(1000))
    with contextlib.suppress(RolloutStoppedError):
        capture(path, "cad", steps=90, stopped=lambda: next(asked) >= 70)
    reader = CaptureReader.open(path)
    committed = reader.steps_committed
    golden = np.load(GOLDEN / "cad" / "golden.npz")["compression_step"]
    assert golden[0] < committed < 90
    assert reader.array("compression/step")[:].tolist() == golden[golden < committed].tolist()
    assert verify(reader).ok
    with pytest.raises(NotCommittedError):
        reader.array("compression/latents")[len(golden[golden < committed])]


def test_compressions_are_kept_of_the_environments_whose_rows_are(capture, tmp_path, monkeypatch):
    """Without rows their latents alone; and fewer environments where their attention would be too much."""
    bare = capture(tmp_path / "bare.zarr", "cad", steps=60, rows={"enabled": False})
    assert "compression/attention" not in bare.root.arrays
    assert bare.array("compression/latents")[:].shape == (2, 2, 7, 16)
    whole = capture(tmp_path / "whole.zarr", "cad", steps=60)
    each = whole.array("compression/attention")[:].nbytes // 2
    monkeypatch.setattr(compressions, "ATTENTION_BYTES", each)
    few = capture(tmp_path / "few.zarr", "cad", steps=60)
    assert few.array("compression/env")[:].tolist() == [0]
    assert verify(few).ok


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda packed: Packed(packed.latents, packed.cross[..., :-1]),
            r"expected \[layer, head, latent, source\] \(2, 2",
        ),
        (lambda packed: Packed(packed.latents, packed.cross * 0.9), "sums to 1 only within 0.1"),
        (lambda packed: Packed(packed.latents), r"\(2, 2, 7, 29\), got none"),
    ],
)
def test_attention_that_is_none_ends_the_capture(capture, tmp_path, monkeypatch, spoil, words):
    """A compressor that gives other shapes, other sums or nothing is named; what was committed stays."""
    original = TransformerCompressor.forward
    monkeypatch.setattr(TransformerCompressor, "forward", lambda self, x: spoil(original(self, x)))
    with pytest.raises(CaptureInvalidError, match=words):
        capture(tmp_path / "spoiled.zarr", "cad", steps=40)
    assert CaptureReader.open(tmp_path / "spoiled.zarr").steps_committed < 30


def test_a_policy_that_packs_when_it_does_not_say_is_refused(capture, tmp_path, monkeypatch):
    """Its description is how the store grows."""
    monkeypatch.setattr(OwnCompressor, "when", lambda _self, tokens, *, packed: tokens >= 12 + 0 * packed)
    with pytest.raises(CaptureInvalidError, match="packed 12 tokens after step 11, and its description says 29"):
        capture(tmp_path / "early.zarr", "cad", steps=40)


def test_damaged_compressions_are_found(capture, tmp_path):
    """Rows that are no attention, latents that are no number, and a wrong step are noted by the check of a store."""
    path = tmp_path / "damaged.zarr"
    capture(path, "cad", steps=60)
    group = zarr.open_group(path, mode="r+")
    group["compression/attention"][0, 0, 0, 0, 0, 3] = 0.9
    group["compression/attention"][1, 1, 0, 0, 0, 2] = np.nan
    group["compression/latents"][1, 0, 0, 0] = np.inf
    group["compression/step"][1] = 40
    said = str(verify(CaptureReader.open(path)))
    assert "compression/attention of compression 0, env 0 is no attention over its sources" in said
    assert "compression/attention of compression 1, env 1 is no attention over its sources" in said
    assert "compression/latents of compression 1 hold what is no number" in said
    assert "compression 1: expected 29 tokens after step 50, got 29 after 40" in said


def test_an_order_of_an_earlier_version_stores_no_compression(capture, tmp_path, monkeypatch):
    """Jobs that were resolved before compressions were stored go on in the arrays that they began with."""
    monkeypatch.setattr(resolving, "_compressor_envs", lambda *_: None)
    reader = capture(tmp_path / "old.zarr", "cad", steps=60)
    assert not [name for name in reader.root.arrays if name.startswith("compression/")]
    assert verify(reader).ok
