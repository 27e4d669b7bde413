"""A small capture on disk, and a fake service over it: no server code, so that the laptop's wheel is tested alone."""

from __future__ import annotations

import io
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from attnscope_storage import reductions
from attnscope_storage.ages import SHARES, bin_edges
from attnscope_storage.kinds.capture.schema import RECENCY_WINDOWS, CaptureDims, build_schema
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.shades import as_u8
from attnscope_storage.writing.blocks import StepBlock, is_buffered
from attnscope_storage.writing.writer import CaptureWriter

FOLDER = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder that need no extra: a laptop's install runs them."""
    for item in items:
        extra = item.get_closest_marker("service") or item.get_closest_marker("notebook")
        if FOLDER in item.path.parents and extra is None:
            item.add_marker("laptop")


JOB = "11111111-2222-4333-8444-555555555555"
STEPS, SLOTS, EPISODE = 90, 30, 20
POLICY = {
    "family": "ad-reference",
    "layers": 2,
    "heads": 2,
    "width": 8,
    "context_length": SLOTS,
    "actions": 5,
    "causal": True,
    "positions": "learned-absolute",
    "query_slot": "last",
    "tokens_per_transition": 1,
    "observation": "cell",
    "parameters": 100,
}
RESOLVED = {
    "checkpoint_id": "c" * 64,
    "checkpoint_name": "AD-toy@1",
    "environment_id": "attnscope/Darkroom-v0",
    "preset": "darkroom-reference",
    "horizon": EPISODE,
    "tasks": [
        {"index": 49, "split": None, "split_index": None, "label": "goal (5, 4)", "goal": [5, 4]}
        | {"optimal_return": 20.0, "random_return": 0.5}
    ],
    "held_out": None,
    "envs": 2,
    "steps": STEPS,
    "map_steps": [4, 89],
    "row_envs": [0, 1],
    "row_layers": [0, 1],
    "row_heads": [0, 1],
}
PROVENANCE = {
    "checkpoint": "c" * 64,
    "checkpoint_name": "AD-toy@1",
    "family": "ad-reference",
    "causal": True,
    "causal_stated_by": "user",
    "environment": "attnscope/Darkroom-v0",
    "seeds": [0],
}
SPEC = {"kind": "capture", "checkpoint": "AD-toy@1"}


def write_capture(path: Path) -> None:
    """Write a finished capture: uniform attention, reward 1 in every third step."""
    dims = CaptureDims(
        steps=STEPS,
        envs=2,
        layers=2,
        heads=2,
        slots=SLOTS,
        actions=5,
        observation_shape=(2,),
        observation_dtype="int32",
        row_envs=(0, 1),
        row_layers=(0, 1),
        row_heads=(0, 1),
        row_every=1,
        map_steps=(4, 89),
        map_envs=(0, 1),
    )
    schema = build_schema(dims)
    static = {s.name: np.zeros(s.shape, s.dtype) for s in schema.arrays.values() if s.growth == "static"}
    static["attention/row_env"][:] = (0, 1)
    static["stats/window"][:] = RECENCY_WINDOWS
    static["env/task"][:] = 49
    attributes = {"job": JOB, "owner": "o", "spec": SPEC, "resolved": RESOLVED, "policy": POLICY}
    attributes |= {"provenance": PROVENANCE, "query_slot": "last", "tokens_per_transition": 1}
    with CaptureWriter.create(path, schema, attributes, static, durable=False) as writer:
        for first in range(0, STEPS, schema.flush_steps):
            block = writer.acquire()
            block.steps = min(schema.flush_steps, STEPS - first)
            for row in range(block.steps):
                step = first + row
                n = min(step + 1, SLOTS)
                for name, array in block.arrays.items():
                    if name != "attention/rows":
                        array[row] = 0
                block.arrays["attention/rows"][row, ..., :n] = 1 / n
                for place, window in enumerate(RECENCY_WINDOWS):
                    block.arrays["stats/recency"][row, ..., place] = min(window, n - 1) / n
                block.arrays["context/length"][row] = n
                block.arrays["context/start"][row] = max(0, step - SLOTS + 1)
                block.arrays["rollout/episode"][row] = step // EPISODE
                block.arrays["rollout/truncated"][row] = step % EPISODE == EPISODE - 1
                block.arrays["rollout/reward"][row] = step % 3 == 0
                if step in dims.map_steps:
                    whole = np.full((2, 2, 2, SLOTS, SLOTS), np.nan, np.float16)
                    whole[..., :n, :n] = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
                    block.maps.append((step, whole))
            writer.submit(block)
        writer.close(complete=True)


@pytest.fixture(scope="session")
def stored(tmp_path_factory) -> Path:
    """Return the folder of a finished capture."""
    path = tmp_path_factory.mktemp("capture") / "c.zarr"
    write_capture(path)
    return path


class FakeService(ThreadingHTTPServer):
    """Answers like the service, as far as the tests go; notes what it was asked."""

    daemon_threads = True

    def __init__(self, stored: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stored = stored
        self.asked: list[str] = []
        self.busy = 0
        self.sent = 0
        """Bytes of slices."""
        self.answered = 0
        """Bytes of all bodies."""
        self.label = "a label"
        """The text in its documents."""
        self.moved = "http://example.invalid/"
        self.cap: int | None = None
        """Bytes of a slice, at most."""
        self.down = False
        self.down_after = 0
        """Requests that are still answered while it is down."""
        self.replays = True
        self.state = "succeeded"
        """State of its one job."""
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: FakeService

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        """Send a response."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.server.answered += len(body)

    def problem(self, status: int, code: str, detail: str, *, retryable: bool = False) -> None:
        """Send a problem document."""
        document = {"type": f"urn:attnscope:problem:{code}", "title": code, "status": status}
        document |= {"detail": detail, "retryable": retryable}
        self.answer(status, json.dumps(document).encode(), "application/problem+json")

    def job(self) -> dict[str, object]:
        """Return the one job."""
        return {
            "id": JOB,
            "kind": "capture",
            "owner": "o",
            "state": self.server.state,
            "label": self.server.label,
            "spec": SPEC,
            "resolved": RESOLVED,
            "progress": {"steps_done": STEPS, "steps_committed": STEPS, "steps_total": STEPS, "phase": "ended"},
            "created_at": "2026-01-01T00:00:00Z",
            "a_field_of_the_future": 1,
        }

    def do_POST(self) -> None:
        """Redirect, whatever it is."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(302, b"", Location=self.server.moved)

    def do_PATCH(self) -> None:
        """Change nothing."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, json.dumps(self.job()).encode())

    def do_PUT(self) -> None:
        """Submit."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/moved":
            self.answer(307, b"", Location=self.server.moved)
            return
        self.server.asked.append(f"PUT {self.path}")
        if self.server.busy:
            self.server.busy -= 1
            self.problem(503, "unavailable", "starting", retryable=True)
            return
        self.answer(201, json.dumps(self.job()).encode())

    def do_GET(self) -> None:
        """Everything else."""
        self.server.asked.append(f"GET {self.path}")
        if self.server.down and len(self.server.asked) > self.server.down_after:
            self.close_connection = True  # as a service that is not there: no answer at all
            return
        parts = urlsplit(self.path)
        if self.headers.get("Authorization") != "Bearer right-key":
            self.problem(401, "unauthenticated", f"no key [bold]here[/bold] {self.server.label}")
        elif parts.path == "/v1/jobs":
            self.answer(200, json.dumps({"jobs": [self.job()]}).encode())
        elif parts.path == f"/v1/jobs/{JOB}":
            self.answer(200, json.dumps(self.job()).encode())
        elif parts.path == "/v1/moved":
            self.answer(302, b"", Location=self.server.moved)
        elif parts.path.startswith(f"/v1/captures/{JOB}/zarr/"):
            self.key(parts.path.removeprefix(f"/v1/captures/{JOB}/zarr/"))
        elif parts.path == f"/v1/captures/{JOB}/slice":
            self.slice({name: values[0] for name, values in parse_qs(parts.query).items()})
        elif parts.path == f"/v1/captures/{JOB}/maps" and self.server.replays:
            self.maps({name: values[0] for name, values in parse_qs(parts.query).items()})
        else:
            self.problem(404, "not-found", f"nothing at {parts.path}")

    def key(self, key: str) -> None:
        """Send a key of the store."""
        path = self.server.stored / key
        if path.is_file():
            caching = "no-cache" if key.endswith("zarr.json") else "private, immutable"
            self.answer(200, path.read_bytes(), "application/octet-stream", Cache_Control=caching)
        else:
            self.problem(404, "not-found", key)

    def slice(self, asked: dict[str, str]) -> None:
        """Send a cut."""
        reader = CaptureReader.open(self.server.stored)
        array = reader.array(asked["array"])
        picks = [self.pick(asked.get(dim, ":")) for dim in array.dims]
        values = np.asarray(array[tuple(picks)])
        if asked.get("reduce") in {"step-mean", "age-profile", "retained-mass"}:
            values = self.over_steps(reader, asked, picks, values)
        elif "reduce" in asked:
            dims = [dim for dim, pick in zip(array.dims, picks, strict=True) if not isinstance(pick, int)]
            over = tuple(dims.index(dim) for dim in asked["over"].split(","))
            seen = np.isfinite(values).sum(axis=over)
            total = np.nansum(values.astype(np.float64), axis=over)
            values = np.divide(total, seen, out=np.full(total.shape, np.nan), where=seen > 0).astype(np.float32)
        if "pool" in asked:
            values = reductions.pooled(values, int(asked["pool"]), asked["pool_by"])
        if self.server.cap is not None and values.nbytes > self.server.cap:
            self.problem(413, "too-large", f"{values.nbytes} bytes, {self.server.cap} are allowed")
            return
        out = io.BytesIO()
        if asked.get("format") == "u8":
            out.write(as_u8(values).tobytes())
        else:
            np.save(out, values.astype(np.float16) if asked.get("format") == "f16" else values)
        self.server.sent += len(out.getvalue())
        self.answer(200, out.getvalue(), "application/octet-stream")

    def over_steps(self, reader: CaptureReader, asked: dict[str, str], picks: list, values: np.ndarray) -> np.ndarray:
        """Reduce the steps of a cut, as the service does."""
        length = np.asarray(reader.array("context/length")[picks[0]])[:, picks[1]]
        least = int(asked["least"])
        if asked["reduce"] == "step-mean":
            values = reductions.per_largest_entropy(values, length) if "per" in asked else values
            return reductions.total_over_steps(values, length >= least).mean
        if asked["reduce"] == "age-profile":
            return reductions.age_profile(values, length, "last", least).mean.astype(np.float32)
        return reductions.retained_mass(values, length, "last", int(asked["budgets"]), least).mean.astype(np.float32)

    def maps(self, asked: dict[str, str]) -> None:
        """Send uniform causal maps, rollouts of nothing but the diagonal, or the number of each transition."""
        tokens = min(int(asked["step"]) + 1, SLOTS)
        layers, heads = (asked.get(name, "").count(",") + 1 for name in ("layers", "heads"))
        found = np.tril(np.ones((layers, heads, tokens, tokens))) / np.arange(1, tokens + 1)[:, None]
        if asked["kind"] == "rollout":
            found = np.tile(np.eye(tokens), (layers, 1, 1))
        elif asked["kind"] == "leave-one-out":
            found = np.arange(tokens - 1)
        out = io.BytesIO()
        np.save(out, found.astype(np.float32))
        self.answer(200, out.getvalue(), "application/octet-stream")

    def pick(self, text: str) -> int | slice | list[int]:
        """Read one selector."""
        if ":" in text:
            return slice(*(int(part) if part else None for part in text.split(":")))
        return [int(part) for part in text.split(",")] if "," in text else int(text)


@pytest.fixture
def serve() -> Iterator[Callable[[Path], FakeService]]:
    """Return a function that runs a fake service over a capture."""
    with ExitStack() as running:

        def start(path: Path) -> FakeService:
            server = running.enter_context(FakeService(path))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            running.callback(thread.join)
            running.callback(server.shutdown)
            return server

        yield start


@pytest.fixture
def fake(stored, serve) -> FakeService:
    """Return a fake service that runs."""
    return serve(stored)


EPISODE_STEPS = 10
"""Steps of an episode of a planted capture."""


def planted_rows(length: int, layers: int, heads: int, kind: str) -> np.ndarray:
    """Return rows [layer, head, slot]: uniform, or e^(−age/4) with a sharper head each, whose weights are known."""
    age = np.arange(length)[::-1].astype(np.float64)
    sharp = 1 + np.arange(layers * heads).reshape(layers, heads, 1)
    weight = np.ones((layers, heads, length)) if kind == "uniform" else np.exp(-age * sharp / 4)
    return weight / weight.sum(axis=-1, keepdims=True)


def planted_forms(weights: np.ndarray, dims: CaptureDims) -> dict[str, np.ndarray]:
    """Return rows [layer, head, slot] in every form that a capture may store, by array."""
    edges = bin_edges(dims.slots)[:-1]
    history = -np.sort(-weights[..., :-1], axis=-1)
    running = weights[..., -1:] + np.concatenate([np.zeros_like(history[..., :1]), history.cumsum(axis=-1)], axis=-1)
    most = history.shape[-1]
    budgets = [min(most, max(1, int(most * share + 1e-9))) if share else 0 for share in SHARES]
    return {
        "attention/rows": as_u8(weights) if dims.row_form == "u8" else weights,
        "attention/bins": np.add.reduceat(weights[..., ::-1], edges[edges < weights.shape[-1]], axis=-1),
        "attention/curve": running[..., budgets] if most else np.ones((*weights.shape[:-1], len(SHARES))),
    }


def write_planted(
    path: Path,
    *,
    steps: int = 60,
    envs: int = 3,
    layers: int = 2,
    heads: int = 2,
    slots: int = 12,
    rows: bool = True,
    maps: bool = True,
    kind: str = "recent",
    until: int | None = None,
    name: str = "AD-planted@1",
    job: str = JOB,
    task: int = 49,
    map_steps: tuple[int, ...] = (),
    flush: int | None = 8,
    form: str = "f16",
    curve: bool = False,
    exact: tuple[int, ...] = (),
) -> Path:
    """Write a capture of known attention; `until` leaves it running after so many commits of `flush` steps.

    Without `flush` a commit is as long as the service would make it.

    Environment e is rewarded in episode n's first min(n, 9) steps, so the policy learns; goals are (5, 4).
    """
    dims = CaptureDims(
        steps=steps,
        envs=envs,
        layers=layers,
        heads=heads,
        slots=slots,
        actions=5,
        observation_shape=(2,),
        observation_dtype="int32",
        row_envs=exact or (tuple(range(envs)) if rows and form in {"f16", "u8"} else None),
        row_form="u8" if form == "u8" else "f16",
        bin_envs=tuple(range(envs)) if form == "bins" else (),
        curve=curve,
        row_layers=tuple(range(layers)),
        row_heads=tuple(range(heads)),
        row_every=1,
        map_steps=(map_steps or tuple(sorted({0, steps // 2, steps - 1}))) if maps else (),
        map_envs=exact or tuple(range(envs)),
    )
    schema = build_schema(dims)
    flush = flush or schema.flush_steps
    schema = replace(schema, flush_steps=flush)
    arrays = {n: replace(s, chunks=(flush, *s.chunks[1:])) if is_buffered(s) else s for n, s in schema.arrays.items()}
    schema = replace(schema, arrays=arrays)
    static = {s.name: np.zeros(s.shape, s.dtype) for s in schema.arrays.values() if s.growth == "static"}
    static["stats/window"][:] = RECENCY_WINDOWS
    static["env/task"][:] = task
    static["env/seed"][:] = np.arange(envs)
    static |= {"attention/bin_edge": bin_edges(slots)} if form == "bins" else {}
    for subset in ("row_env", "row_layer", "row_head", "bin_env"):
        if f"attention/{subset}" in static:
            static[f"attention/{subset}"][:] = np.arange(len(static[f"attention/{subset}"]))
    static |= {"attention/row_env": np.array(exact, np.int32)} if exact else {}
    policy = {**POLICY, "layers": layers, "heads": heads, "context_length": slots}
    resolved = {**RESOLVED, "envs": envs, "steps": steps, "horizon": EPISODE_STEPS, "checkpoint_name": name}
    resolved |= {"map_steps": list(dims.map_steps)}
    attributes = {"job": job, "owner": "o", "spec": SPEC, "resolved": resolved, "policy": policy}
    attributes |= {"provenance": PROVENANCE, "query_slot": "last", "tokens_per_transition": 1}
    with CaptureWriter.create(path, schema, attributes, static, durable=False) as writer:
        for first in range(0, steps if until is None else flush * until, flush):
            block = writer.acquire()
            block.steps = min(flush, steps - first)
            for row in range(block.steps):
                fill_planted(block, dims, first + row, row, kind)
            writer.submit(block)
        writer.close(complete=until is None)
    return path


def fill_planted(block: StepBlock, dims: CaptureDims, step: int, row: int, kind: str) -> None:
    """Fill one step."""
    n = min(step + 1, dims.slots)
    weights = planted_rows(n, dims.layers, dims.heads, kind)
    others = weights[..., :-1]
    recency = [others[..., max(0, n - 1 - window) :].sum(axis=-1) for window in RECENCY_WINDOWS]
    episode, within = divmod(step, EPISODE_STEPS)
    values = {
        "stats/entropy": -(weights * np.log(weights)).sum(axis=-1),
        "stats/max": weights.max(axis=-1),
        "stats/effective": 1 / (weights**2).sum(axis=-1),
        "stats/sink": weights[..., 0],
        "stats/self": weights[..., -1],
        "stats/recency": np.stack(recency, axis=-1),
        "context/length": n,
        "context/start": step + 1 - n,
        "rollout/observation": 0,
        "rollout/next_observation": 0,
        "rollout/action": 0,
        "rollout/reward": within < min(episode, 9),
        "rollout/episode": episode,
        "rollout/terminated": 0,
        "rollout/truncated": within == EPISODE_STEPS - 1,
        "policy/logits": 0,
    }
    for array, value in values.items():
        block.arrays[array][row] = value
    for array, value in planted_forms(weights, dims).items():
        if array in block.arrays:
            block.arrays[array][row, ..., : value.shape[-1]] = value
    if step in dims.map_steps:
        whole = np.full((len(dims.map_envs), dims.layers, dims.heads, dims.slots, dims.slots), np.nan, np.float16)
        whole[..., :n, :n] = 0
        for query in range(n):
            whole[..., query, : query + 1] = planted_rows(query + 1, dims.layers, dims.heads, kind)
        block.maps.append((step, whole))


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> Callable[..., Path]:
    """Return a function that writes a planted capture, once for each way to ask."""
    made: dict[str, Path] = {}

    def make(**asked: object) -> Path:
        key = repr(sorted(asked.items()))
        if key not in made:
            made[key] = write_planted(tmp_path_factory.mktemp("planted") / "c.zarr", **asked)
        return made[key]

    return make


@pytest.fixture
def hostile_root():
    """Return a function that copies a capture and changes its root document."""

    def copied(stored: Path, folder: Path, change) -> Path:
        """Return a copy of a capture whose root document was changed."""
        shutil.copytree(stored, folder)
        document = json.loads((folder / "zarr.json").read_text())
        change(document, document["consolidated_metadata"]["metadata"])
        (folder / "zarr.json").write_text(json.dumps(document))
        return folder

    return copied
