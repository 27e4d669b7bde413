"""The rollout: what it stores is what the policy did, whatever is captured, resumed or batched."""

from __future__ import annotations

import contextlib
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import torch

from attnscope_env.rooms.darkroom_vector import DarkroomVectorEnv
from attnscope_model.acting.sampling import ACTION_STREAM, cumulative, uniforms
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.errors import CaptureInvalidError
from attnscope_model.forward.compiled import growing
from attnscope_model.forward.fused import LAYERS, TORCH
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.kind import KIND
from attnscope_server.capturing.resolving import resolve
from attnscope_server.capturing.rollout import NotReproducibleError, RolloutStoppedError
from attnscope_server.capturing.sizing import COMPILED_BYTES
from attnscope_server.errors import ProblemError
from attnscope_server.kinds import Means, Planned
from attnscope_storage.kinds.capture import lengths
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import CaptureSpec

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CPU = torch.device("cpu")


@pytest.fixture
def capture(registry, tmp_path):
    """Return a function that captures a specification and gives its reader."""

    def run(path: Path | None = None, **options) -> CaptureReader:
        stopping = {name: options.pop(name) for name in ("stopped", "on_commit", "at_stage") if name in options}
        fused = options.pop("fused", True)
        spec = CaptureSpec(**({"checkpoint": "causal", "tasks": {"goals": [(5, 4)]}, "steps": 60} | options))
        resolved = resolve(spec, registry)
        info = registry.get(resolved.checkpoint_id)
        path = path or tmp_path / f"{uuid4()}.zarr"
        order = CaptureOrder(path.stem, "tester", spec, resolved, path, durable=False, fused=fused)
        run_capture(order, load_policy(registry.folder(info.id), CPU), info, CPU, **stopping)
        return CaptureReader.open(path)

    return run


def arrays(reader: CaptureReader) -> dict[str, np.ndarray]:
    """Return every decoded array."""
    return {name: reader.array(name)[:] for name in reader.names()}


def differing(one: CaptureReader, other: CaptureReader) -> list[str]:
    """Return the names of arrays that are not bit-equal."""
    left, right = arrays(one), arrays(other)
    assert left.keys() == right.keys()
    return [n for n, v in left.items() if not np.array_equal(v, right[n], equal_nan=v.dtype.kind == "f")]


@pytest.mark.parametrize("name", ["causal", "noncausal"])
def test_greedy_captures_equal_the_golden_rollouts(capture, name):
    """Actions, rewards, logits and decision rows of the reference's own greedy rollout, past the sliding window."""
    golden = np.load(GOLDEN / f"golden-{name}.npz")
    steps = len(golden["greedy_actions"])
    reader = capture(checkpoint=name, steps=steps, sampling={"mode": "greedy"})
    assert np.array_equal(reader.array("rollout/action")[:, 0], golden["greedy_actions"])
    assert np.array_equal(reader.array("rollout/reward")[:, 0], golden["greedy_rewards"])
    assert np.array_equal(reader.array("rollout/observation")[:, 0], golden["greedy_states"][:-1])
    assert np.abs(reader.array("policy/logits")[:, 0] - golden["greedy_logits"]).max() < 1e-5
    assert verify(reader).ok


@pytest.mark.parametrize("steps", [250, pytest.param(1000, marks=pytest.mark.slow)])
def test_capture_changes_no_action(capture, steps):
    """With rows and maps, without, and with few of them, 8 environments act alike, past the slide, bit for bit."""
    common = {"tasks": {"split": "test"}, "steps": steps}
    full = capture(**common, maps={"steps": [5, 120, steps - 1]})
    bare = capture(**common, maps={"count": 0}, rows={"enabled": False})
    some = capture(**common, maps={"count": 1}, rows={"envs": [3], "every": 7, "layers": [1], "heads": [0, 2]})
    statistics = [name for name in full.names() if name.startswith("stats/")]
    assert len(statistics) == 7
    for name in ("rollout/action", "rollout/observation", "policy/logits", *statistics):
        whole = full.array(name)[:]
        assert np.array_equal(whole, bare.array(name)[:]), name
        assert np.array_equal(whole, some.array(name)[:]), name
    rows = full.array("attention/rows")[::7, [3], [1], [0, 2]]
    assert np.array_equal(rows, some.array("attention/rows")[:], equal_nan=True)
    assert verify(full).ok
    assert verify(some).ok


def test_captures_with_and_without_the_compiled_kernel_agree(capture):
    """More environments than a tile, the last tile part empty: logits, rows and statistics agree to 1e-5."""
    options = {"checkpoint": "noncausal", "replicas": 11, "steps": 20, "sampling": {"mode": "greedy"}}
    compiled, plain = capture(**options), capture(**options, fused=False)
    assert compiled.attributes["provenance"]["attention_implementation"] == LAYERS
    assert plain.attributes["provenance"]["attention_implementation"] == TORCH
    for name in ("policy/logits", "stats/max", "stats/sink", "stats/self", "stats/recency", "stats/entropy"):
        assert np.abs(compiled.array(name)[:] - plain.array(name)[:]).max() < 1e-5, name
    ratio = compiled.array("stats/effective")[:] / plain.array("stats/effective")[:]
    assert np.abs(ratio - 1).max() < 1e-5
    rows = [reader.array("attention/rows")[:] for reader in (compiled, plain)]
    assert np.array_equal(np.isnan(rows[0]), np.isnan(rows[1]))
    assert np.nanmax(np.abs(rows[0] - rows[1])) < 1e-3


@pytest.mark.parametrize("fused", [True, False])
def test_rows_that_do_not_sum_to_one_fail_the_capture(capture, monkeypatch, fused):
    """Whichever way the statistics are taken, lost mass is refused before it is stored."""
    softmax, compute_new = torch.softmax, growing.compute_new

    def halved(x, out, rows, *rest):
        compute_new(x, out, rows, *rest)
        rows *= 0.5

    monkeypatch.setattr(torch, "softmax", lambda *a, **k: softmax(*a, **k) * 0.5)
    monkeypatch.setattr(growing, "compute_new", halved)
    with pytest.raises(CaptureInvalidError, match="sum 5"):
        capture(steps=3, fused=fused)


def test_a_rollout_does_not_depend_on_its_neighbours(capture):
    """Alone or among eight, logits agree to 1e-5; an action differs only where its number lies that near an edge."""
    goals = [(4, 2), (5, 6), (6, 8), (7, 2), (3, 6), (0, 5), (5, 8), (5, 4)]
    together = capture(tasks={"goals": goals}, steps=300)
    alone = capture(tasks={"goals": [goals[2]]}, steps=300)
    task = together.array("env/task")[2:3]
    numbers = uniforms(np.array([0]), task, np.array([0]), 0, 300, ACTION_STREAM)[:, 0]
    one, eight = alone.array("policy/logits")[:, 0], together.array("policy/logits")[:, 2]
    same = alone.array("rollout/action")[:, 0] == together.array("rollout/action")[:, 2]
    first = int(np.argmin(same)) if not same.all() else 300
    assert np.abs(one[:first] - eight[:first]).max() < 1e-5
    if first < 300:
        edges = cumulative(torch.from_numpy(one[first : first + 1]))[0, :-1]
        assert np.abs(edges - numbers[first]).min() < 1e-5


@pytest.mark.parametrize("stop_at", [1, 40, 300])
def test_a_resumed_capture_has_the_same_bits(capture, tmp_path, stop_at):
    """Stopped early, before the window is full or long after, a second run ends with every array bit-equal."""
    options = {"tasks": {"split": "test", "indices": [0, 7]}, "steps": 420, "maps": {"steps": [10, 200, 419]}}
    whole = capture(**options)
    path, asked = tmp_path / "resumed.zarr", iter(range(10_000))
    with pytest.raises(RolloutStoppedError):
        capture(path, **options, stopped=lambda: next(asked) >= stop_at)
    before = CaptureReader.open(path).steps_committed
    resumed = capture(path, **options)
    assert resumed.complete
    assert before < 420
    assert differing(whole, resumed) == []


@pytest.mark.parametrize("name", ["causal", "noncausal"])
def test_interrupted_at_random_commits_it_has_the_same_bits(capture, tmp_path, monkeypatch, name):
    """Stopped after random commits, most while the window grows and is cached, every array ends bit-equal."""
    monkeypatch.setattr(lengths, "CHUNK_BYTES", 2**14)  # 8 steps a commit
    monkeypatch.setattr(lengths, "LEAST_STEPS", 1)
    random, path = np.random.default_rng(5), tmp_path / "resumed.zarr"
    options = {"checkpoint": name, "tasks": {"split": "test", "indices": [0, 3, 7]}, "steps": 130}
    options |= {"maps": {"steps": [3, 60, 129]}}
    whole = capture(**options)
    assert whole.attributes["flush_steps"] < 20
    for _ in range(5):
        asked, stop_at = iter(range(10_000)), int(random.integers(9, 60))
        with contextlib.suppress(RolloutStoppedError):
            capture(path, **options, stopped=lambda asked=asked, stop_at=stop_at: next(asked) >= stop_at)
    assert CaptureReader.open(path).steps_committed > 0
    assert differing(whole, capture(path, **options)) == []


def test_resuming_refuses_an_environment_that_does_not_reproduce(capture, tmp_path, monkeypatch):
    """If the re-stepped environment gives another reward, the job fails and says so."""
    monkeypatch.setattr(lengths, "CHUNK_BYTES", 2**14)  # commits that are few steps long: several before the end
    monkeypatch.setattr(lengths, "LEAST_STEPS", 1)
    path, asked = tmp_path / "resumed.zarr", iter(range(10_000))
    options = {"steps": 420, "maps": {"count": 0}}
    with pytest.raises(RolloutStoppedError):
        capture(path, **options, stopped=lambda: next(asked) >= 200)
    assert CaptureReader.open(path).steps_committed > 0
    step = DarkroomVectorEnv.step

    def other(self, actions):
        after, reward, *rest = step(self, actions)
        return after, reward + 1, *rest

    monkeypatch.setattr(DarkroomVectorEnv, "step", other)
    with pytest.raises(NotReproducibleError, match="reward at step 0"):
        capture(path, **options)


def test_the_context_is_what_the_reference_builds(capture):
    """Length grows from one token to the window, then the start slides; s' at an episode's end is the terminal cell."""
    reader = capture(steps=150)
    length, start = reader.array("context/length")[:, 0], reader.array("context/start")[:, 0]
    assert np.array_equal(length, np.minimum(np.arange(150) + 1, 100))
    assert np.array_equal(start, np.maximum(np.arange(150) - 99, 0))
    observation, following = reader.array("rollout/observation")[:, 0], reader.array("rollout/next_observation")[:, 0]
    truncated, episode = reader.array("rollout/truncated")[:, 0], reader.array("rollout/episode")[:, 0]
    assert np.flatnonzero(truncated).tolist() == list(range(19, 150, 20))
    assert np.array_equal(episode, np.arange(150) // 20)
    inside = np.flatnonzero(truncated[:-1] == 0)
    assert np.array_equal(following[inside], observation[inside + 1])
    assert (observation[20::20] == 4).all()


def test_statistics_agree_with_the_stored_rows(capture):
    """Entropy, sink, self and recency recomputed from float16 rows agree within its rounding."""
    reader = capture(steps=120)
    rows = np.nan_to_num(reader.array("attention/rows")[:, 0].astype(np.float64))
    length = reader.array("context/length")[:, 0]
    entropy = -(rows * np.log(np.where(rows > 0, rows, 1))).sum(-1)
    assert np.abs(reader.array("stats/entropy")[:, 0] - entropy).max() < 0.01
    assert np.abs(reader.array("stats/sink")[:, 0] - rows[..., 0]).max() < 1e-3
    for step in (0, 1, 5, 119):
        own = length[step] - 1
        recent = rows[step, ..., max(0, own - 5) : own].sum(-1)
        assert np.abs(reader.array("stats/recency")[step, 0, :, :, 1] - recent).max() < 2e-3
        assert np.abs(reader.array("stats/self")[step, 0] - rows[step, ..., own]).max() < 1e-3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"checkpoint": "nobody"}, "nobody"),
        ({"tasks": {"goals": [(9, 0)]}}, "goal"),
        ({"tasks": {"split": "test", "indices": [8]}}, "beyond"),
        ({"tasks": {"split": "validation"}}, "empty"),
        ({"rows": {"layers": [3]}}, "rows.layers"),
        ({"rows": {"envs": [1]}}, "rows.envs"),
        ({"maps": {"steps": [60]}}, "maps.steps"),
        ({"environment": {"id": "os:system"}}, "pattern"),
        ({"environment": {"id": "CartPole-v1"}}, "not listed"),
        ({"environment": {"id": "attnscope/Darkroom-v0", "kwargs": {"size": 17}}}, "size"),
        ({"environment": {"id": "attnscope/Darkroom-v0", "kwargs": {"horizon": 0}}}, "horizon"),
        ({"replicas": 70_000}, "environments"),
    ],
)
def test_a_specification_that_cannot_be_is_refused_with_the_reason(registry, options, words):
    """Names, cells, layers, environments and sizes that do not exist are named in the problem."""
    with pytest.raises((ProblemError, ValueError), match=words):
        resolve(
            CaptureSpec(**({"checkpoint": "causal", "tasks": {"goals": [(5, 4)]}, "steps": 60} | options)), registry
        )


def test_the_reference_list_is_what_indices_count_in(registry):
    """`--split test --tasks 7` is the reference's goal (5, 4); unknown train tasks say nothing of held-out."""
    resolved = resolve(CaptureSpec(checkpoint="causal", tasks={"split": "test", "indices": [7]}), registry)
    assert [cell.goal for cell in resolved.tasks] == [(5, 4)]
    assert resolved.held_out is None
    assert resolved.steps == 200
    assert resolved.map_steps == (39, 79, 119, 159, 199)


def test_a_task_that_was_chosen_by_is_not_held_out(registry):
    """A validation task, and one train task among held-out ones, keep a capture from saying held-out."""
    known = registry.get("causal").model_copy(update={"train_tasks": (0, 1), "validation_tasks": (2, 3)})

    class One:
        def get(self, _name):
            return known

    def said(*goals):
        spec = CaptureSpec(checkpoint="causal", tasks={"goals": [divmod(goal, 9) for goal in goals]}, steps=20)
        return resolve(spec, One()).held_out

    assert [said(0), said(2), said(0, 50), said(49, 50)] == [False, False, False, True]


def test_an_estimate_is_of_the_right_size(registry, capture):
    """The decoded bytes are exact; the stored ones are within a factor of three."""
    spec = CaptureSpec(checkpoint="causal", tasks={"goals": [(5, 4)]}, steps=400)
    resolved = resolve(spec, registry)
    policy = registry.get("causal").policy
    planned = Planned(spec, resolved, policy, KIND.contract.schema(spec, resolved, policy))
    guess = KIND.estimate(planned, Means(disk_free_bytes=1))
    reader = capture(steps=400)
    assert guess.bytes_raw == sum(reader.array(name).nbytes for name in reader.names())
    stored = int(reader.attributes["bytes_written"])
    assert guess.bytes_on_disk / 3 < stored < guess.bytes_on_disk * 3
    assert guess.seconds is None
    plain = KIND.estimate(planned, Means(disk_free_bytes=1, compiled=False))
    assert guess.worker_memory_bytes - plain.worker_memory_bytes == COMPILED_BYTES
