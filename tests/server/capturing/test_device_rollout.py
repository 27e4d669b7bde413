"""The rollout that stays on its device, run on a CPU: bit for bit the host's capture. No GPU is used."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from attnscope_env import preset, terminal_observations
from attnscope_model.checkpoints.native import load_policy
from attnscope_server.capturing.device_rooms import DeviceRooms, device_rooms
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.precision import PrecisionUnavailableError, precision
from attnscope_server.capturing.resolving import resolve
from attnscope_server.capturing.rollout import RolloutStoppedError
from attnscope_storage.kinds.capture import lengths
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec

CPU = torch.device("cpu")


@pytest.fixture
def capture(registry, tmp_path):
    """Return a function that captures on the device's or the host's way and gives the reader."""

    def run(name, *, on_device, stopped=lambda: False, **options) -> CaptureReader:
        tasks = {"split": "test", "indices": [0, 3, 7]}
        spec = CaptureSpec(**({"checkpoint": options.pop("policy", "causal"), "tasks": tasks, "steps": 130} | options))
        resolved = resolve(spec, registry)
        info = registry.get(resolved.checkpoint_id)
        path = tmp_path / f"{name}.zarr"
        order = CaptureOrder(path.stem, "tester", spec, resolved, path, durable=False, on_device=on_device)
        run_capture(order, load_policy(registry.folder(info.id), CPU), info, CPU, stopped=stopped)
        return CaptureReader.open(path)

    return run


def differing(one: CaptureReader, other: CaptureReader) -> list[str]:
    """Return the names of arrays that are not bit-equal."""
    pairs = {name: (one.array(name)[:], other.array(name)[:]) for name in one.names()}
    assert one.names() == other.names()
    return [n for n, (a, b) in pairs.items() if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f")]


@pytest.mark.parametrize(
    "options",
    [
        {"policy": "causal", "maps": {"steps": [3, 60, 129]}},
        {"policy": "noncausal", "maps": {"count": 0}, "steps": 170, "sampling": {"mode": "greedy"}},
        {"policy": "causal", "maps": {"steps": [7]}, "rows": {"envs": [2], "every": 3, "layers": [1], "heads": [0, 2]}},
        {"policy": "causal", "maps": {"count": 0}, "rows": {"enabled": False}},
    ],
)
def test_stores_what_the_host_stores(capture, monkeypatch, options):
    """Growing and sliding windows, sampled and greedy, whole and partial rows, maps: every array is bit-equal."""
    monkeypatch.setattr(lengths, "CHUNK_BYTES", 2**16)
    monkeypatch.setattr(lengths, "LEAST_STEPS", 1)
    host, device = capture("host", on_device=False, **options), capture("device", on_device=True, **options)
    assert device.complete
    assert differing(host, device) == []


def test_resumes_to_the_same_bits(capture, monkeypatch):
    """Stopped inside the growing window and after it, the device's way ends with every array bit-equal."""
    monkeypatch.setattr(lengths, "CHUNK_BYTES", 2**14)
    monkeypatch.setattr(lengths, "LEAST_STEPS", 1)
    whole = capture("whole", on_device=True)
    for stop_at in (45, 110):
        asked = iter(range(10_000))
        with pytest.raises(RolloutStoppedError):
            capture("resumed", on_device=True, stopped=lambda asked=asked, stop_at=stop_at: next(asked) >= stop_at)
    assert differing(whole, capture("resumed", on_device=True)) == []


def test_rooms_on_a_device_go_the_way_of_their_twin():
    """Over two episodes and from any moment on, cells, rewards and ends are those of the array environment."""
    chosen = preset("darkroom-reference")
    environment = chosen.make_vector(chosen.tasks("test"))
    observation, _ = environment.reset(seed=0)
    random, rooms = np.random.default_rng(0), None
    for step in range(50):
        if step == 7:
            rooms = device_rooms(environment, CPU)
            assert isinstance(rooms, DeviceRooms)
        actions = random.integers(0, 5, len(observation))
        observation, reward, _, truncated, infos = environment.step(actions)
        if rooms is not None:
            moved = rooms.step(torch.from_numpy(actions))
            assert np.array_equal(moved.next_observation.numpy(), terminal_observations(observation, infos))
            assert np.array_equal(rooms.observation.numpy(), observation)
            assert np.array_equal(moved.reward.numpy(), reward)
            assert np.array_equal(moved.ended.numpy(), truncated)


def test_environments_without_a_twin_are_stepped_by_the_host():
    """Another room than the plain Darkroom has no twin."""
    chosen = preset("key-to-door")
    assert device_rooms(chosen.make_vector(chosen.tasks("all")[:2]), CPU) is None


def test_less_than_float32_is_refused_on_a_cpu(capture):
    """A capture that asks for bfloat16 or TF32 where there is no GPU fails and says so, rather than compute another."""
    for wanted in ("bfloat16", "tf32"):
        with pytest.raises(PrecisionUnavailableError, match="needs a GPU"):
            capture(wanted, on_device=False, dtype=wanted)
    with precision("float32", CPU):
        assert torch.get_float32_matmul_precision() == "highest"


def test_bfloat16_lowers_products_and_not_what_is_between_them(registry, monkeypatch):
    """GELU and residual sums of a post-norm policy are float32 while products are bfloat16."""
    policy, seen = load_policy(registry.folder("causal"), CPU), set()
    gelu, layer_norm = functional.gelu, torch.layer_norm
    monkeypatch.setattr(functional, "gelu", lambda x, **k: (seen.add(("gelu", x.dtype)), gelu(x, **k))[1])
    monkeypatch.setattr(torch, "layer_norm", lambda x, *a: (seen.add(("norm", x.dtype)), layer_norm(x, *a))[1])
    tokens = torch.randn(2, 9, policy.description.width)
    with torch.inference_mode():
        exact = policy(tokens)
        with precision("bfloat16", CPU):
            lowered = policy(tokens)
    assert seen == {("gelu", torch.float32), ("norm", torch.float32)}
    assert 0 < (lowered - exact).abs().max() < 0.3
