"""Replay of captures: any step's maps, checked against everything that was stored of it; and what must be refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from attnscope_model.acting.replay import check, read_moment, replay
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.errors import ReplayDiffersError
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.capturing.rollout import RolloutStoppedError
from attnscope_storage.errors import ChunkDamagedError, ChunkLostError, NotCommittedError
from attnscope_storage.layout.chunks import decode_chunk, encode_chunk
from attnscope_storage.reading.decoded import DecodedChunks
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def policies(registry):
    """Return both policies."""
    return {name: load_policy(registry.folder(name), CPU) for name in ("causal", "noncausal")}


@pytest.fixture(scope="module")
def capture(registry, policies, tmp_path_factory):
    """Return a function that captures a specification and gives its reader."""

    def run(name: str, **options) -> CaptureReader:
        stopping = {key: options.pop(key) for key in ("stopped",) if key in options}
        spec = CaptureSpec(**({"checkpoint": name, "tasks": {"goals": [(5, 4)]}, "steps": 60} | options))
        path = tmp_path_factory.mktemp("capture") / "c.zarr"
        order = CaptureOrder("c", "tester", spec, resolve(spec, registry), path, durable=False)
        run_capture(order, policies[name], registry.get(name), CPU, **stopping)
        return CaptureReader.open(path)

    return run


def replayed(policy, reader, step, env=0, chunks=None):
    """Return a checked replay."""
    chunks = chunks or DecodedChunks()
    with torch.inference_mode():
        found = replay(policy, read_moment(chunks, reader, step, env), CPU)
        check(found, chunks, reader)
    return found


@pytest.mark.parametrize("name", ["causal", "noncausal"])
def test_every_step_of_the_golden_rollout(capture, policies, name):
    """The decision rows and logits of the reference's own greedy rollout come back to 1e-5, past the slide too."""
    golden = np.load(GOLDEN / f"golden-{name}.npz")
    steps = len(golden["greedy_actions"])
    reader = capture(name, steps=steps, sampling={"mode": "greedy"}, maps={"count": 0})
    at = golden["greedy_row_steps"] if "greedy_row_steps" in golden else np.arange(steps)
    chunks = DecodedChunks()
    for place, step in enumerate(at.tolist()):
        found = replayed(policies[name], reader, step, chunks=chunks)
        n = found.maps.shape[-1]
        assert np.abs(found.maps[:, :, -1].numpy() - golden["greedy_rows"][place][..., :n]).max() < 1e-5
        assert np.abs(found.logits.numpy() - golden["greedy_logits"][step]).max() < 1e-5
    assert at.max() > policies[name].description.context_length + 10


@pytest.mark.parametrize("name", ["causal", "noncausal"])
def test_stored_maps_and_rows_come_back_to_float16_rounding(capture, policies, name):
    """Whatever subset was stored, a replayed map is the stored one, and every step of every environment passes."""
    kept = {"envs": [1], "every": 3, "layers": [2], "heads": [3, 0]}
    reader = capture(name, tasks={"goals": [(5, 4), (0, 5)]}, steps=190, rows=kept, maps={"steps": [2, 120, 188]})
    chunks = DecodedChunks(limit=2**16)
    for step in (0, 1, 2, 63, 64, 120, 188, 189):
        for env in (0, 1):
            assert replayed(policies[name], reader, step, env, chunks).moment.env == env
    for sample, step in enumerate(reader.array("attention/map_step")[:].tolist()):
        now = replayed(policies[name], reader, step, 1).maps[[2]][:, [3, 0]].numpy()
        then = reader.array("attention/maps")[sample, 0].astype(float)
        n = now.shape[-1]
        assert np.isnan(then[..., n:, :]).all()
        assert (np.abs(now - then[..., :n, :n]) <= 2e-5 + 2.0**-11 * now).all()


def test_another_checkpoint_or_rollout_is_noticed(capture, policies):
    """Nothing stored but logits and statistics: the wrong mask, a changed action, length or reward gives no map."""
    bare = capture("causal", steps=130, rows={"enabled": False}, maps={"count": 0})
    with pytest.raises(ReplayDiffersError, match="logits"):
        replayed(policies["noncausal"], bare, 1)
    for name, change, back in (
        ("rollout/action", lambda v: (v + 1) % 5, lambda v: (v + 4) % 5),
        ("rollout/reward", lambda v: v + 1, lambda v: v - 1),
        ("context/start", lambda v: v + 1, lambda v: v - 1),
        ("context/length", lambda v: v - 1, lambda v: v + 1),
    ):
        spoil(bare, name, change)
        with pytest.raises(ReplayDiffersError):
            replayed(policies["causal"], bare, 120)
        spoil(bare, name, back)
        assert replayed(policies["causal"], bare, 120)
    spoil(bare, "rollout/action", lambda values: np.full_like(values, -1))
    with pytest.raises(ReplayDiffersError, match="never written"):
        replayed(policies["causal"], bare, 120)


def test_a_wrong_row_is_noticed(capture, policies):
    """A stored row that is not the decision's is refused, also where logits and entropies fit."""
    reader = capture("noncausal", steps=70)
    spoil(reader, "attention/rows", lambda values: values[..., ::-1])
    with pytest.raises(ReplayDiffersError, match="decision row"):
        replayed(policies["noncausal"], reader, 30)


def spoil(reader, name, change):
    """Rewrite every chunk of an array with other values, well encoded."""
    array = reader.root.arrays[name]
    for path in (reader.store._store.root / name).glob("c.*"):
        values = decode_chunk(path.read_bytes(), array.dtype, array.chunks)
        path.write_bytes(encode_chunk(change(values).astype(values.dtype)))


def test_lost_and_damaged_chunks_give_no_map(capture, policies):
    """A chunk of the window that is missing or does not decode is told by its key; later windows do not need it."""
    reader = capture("causal", steps=640, maps={"count": 0})
    folder = reader.store._store.root
    first = folder / "rollout/reward/c.0.0"
    content = bytearray(first.read_bytes())
    content[-1] ^= 1
    first.write_bytes(content)
    with pytest.raises(ChunkDamagedError, match=r"rollout/reward/c\.0\.0"):
        replayed(policies["causal"], reader, 20)
    first.unlink()
    with pytest.raises(ChunkLostError, match=r"rollout/reward/c\.0\.0"):
        replayed(policies["causal"], reader, 20)
    assert reader.root.arrays["rollout/reward"].chunks[0] <= 512
    assert replayed(policies["causal"], reader, 639).moment.start == 540


def test_an_unfinished_capture_is_replayed_up_to_its_commit(policies, tmp_path, registry):
    """Committed steps are replayed while the rest is missing; beyond it there is nothing."""
    asked = iter(range(10_000))
    spec = CaptureSpec(checkpoint="causal", tasks={"goals": [(5, 4)]}, steps=400, maps={"count": 0})
    order = CaptureOrder("u", "tester", spec, resolve(spec, registry), tmp_path / "u.zarr", durable=False)
    with pytest.raises(RolloutStoppedError):
        run_capture(order, policies["causal"], registry.get("causal"), CPU, stopped=lambda: next(asked) >= 300)
    reader = CaptureReader.open(tmp_path / "u.zarr")
    committed = reader.steps_committed
    assert 0 < committed < 400
    assert not reader.complete
    assert replayed(policies["causal"], reader, committed - 1).moment.step == committed - 1
    with pytest.raises(NotCommittedError, match=f"{committed} committed"):
        replayed(policies["causal"], reader, committed)
    with pytest.raises(IndexError, match="env"):
        replayed(policies["causal"], reader, 0, 1)
