"""Views over a link of 30 ms and 100 Mbit/s: the slice route against raw bytes, raw Zarr, a JSON route and Tiled.

The floor sends as many bytes as the view decodes to, from a server that does nothing else, over the same link.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import zarr
from zarr.storage import FsspecStore

import attnscope
from attnscope_model.checkpoints.registry import CheckpointRegistry
from benchmarks import tiled_way
from benchmarks.link import child, slow_link
from benchmarks.service import KEY, served
from benchmarks.subject import CHECKPOINT
from benchmarks.timing import spread

ENVS, STEPS = 8, 1024
VIEWS = {
    "one step of one env": {"step": 700, "row_env": 3},
    "one step, all envs": {"step": 701},
    "one head over time": {"row_env": 2, "layer": 1, "head": 2},
    "one cell over time": {"row_env": 2, "layer": 1, "head": 2, "slot": 80},
    "one env": {"row_env": 5},
}
"""The requested part of the array, as one index an axis."""

AXES = ("step", "row_env", "layer", "head", "slot")
HEADERS = {"Authorization": f"Bearer {KEY}"}


def milliseconds(ask: Callable[[], object], count: int) -> list[float]:
    """Return the wall time of each of `count` questions, after one that warms up."""
    ask()
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        ask()
        times.append(1e3 * (time.perf_counter() - begin))
    return times


def selection(view: dict[str, int]) -> tuple[int | slice, ...]:
    """Return a view as an index of the array."""
    return tuple(view[axis] if axis in view else slice(None) for axis in AXES)


def fetched(client: httpx.Client, url: str, parameters: dict[str, Any]) -> httpx.Response:
    """Return an answer, which has to be a good one."""
    answer = client.get(url, params=parameters, headers=HEADERS)
    answer.raise_for_status()
    return answer


def on_wire(answer: httpx.Response) -> int:
    """Return the bytes of an answer: content, headers and status line."""
    headers = sum(len(name) + len(value) + len(": \r\n") for name, value in answer.headers.raw)
    return len(answer.content) + headers + len("HTTP/1.1 200 OK\r\n\r\n")


def captured(root: Path, url: str) -> str:
    """Capture what is viewed; return the job."""
    info = CheckpointRegistry(root / "service" / "checkpoints").add(CHECKPOINT, causal=True)
    with attnscope.connect(url, KEY) as client:
        spec = {"tasks": {"goals": [(5, 4)]}, "replicas": ENVS, "steps": STEPS, "maps": {"count": 0}}
        return str(client.submit(checkpoint=info.id, **spec).wait().id)


def ways(client: httpx.Client, job: str, service: int, plain: int) -> dict[str, Callable[[dict[str, int], int], Any]]:
    """Return how a view of so many bytes is had, by name."""
    route = f"http://127.0.0.1:{service}/v1/captures/{job}"
    store = FsspecStore.from_url(
        f"{route}/zarr", storage_options={"client_kwargs": {"headers": HEADERS}}, read_only=True
    )
    rows: Any = zarr.open_group(store, mode="r")["attention/rows"]

    def json_values(view: dict[str, int], _size: int) -> np.ndarray:
        asked = {axis.removeprefix("row_"): index for axis, index in view.items()}
        return np.array(fetched(client, f"http://127.0.0.1:{plain}/json", asked).json(), np.float16)

    return {
        "floor: raw bytes": lambda _, size: fetched(client, f"http://127.0.0.1:{plain}/bytes", {"count": size}),
        "slice route": lambda view, _: fetched(client, f"{route}/slice", {"array": "attention/rows"} | view),
        "raw Zarr": lambda view, _: rows[selection(view)],
        "JSON lists": json_values,
    }


def payload(view: dict[str, int]) -> int:
    """Return the bytes that a view decodes to."""
    sizes = dict(zip(AXES, (STEPS, ENVS, 4, 4, 160), strict=True))
    return 2 * math.prod(size for axis, size in sizes.items() if axis not in view)


def run(*, quick: bool) -> dict[str, Any]:
    """Print p50 of each view and way, and its ratio to the floor."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as url:
        job = captured(Path(folder), url)
        path = next((Path(folder) / "service").rglob(f"{job}*.zarr"))
        with (
            child("benchmarks.plain_server", str(path)) as plain,
            slow_link(int(url.rpartition(":")[2])) as service,
            slow_link(plain) as slow_plain,
            httpx.Client(timeout=60) as client,
        ):
            asked = ways(client, job, service, slow_plain)
            for name, view in VIEWS.items():
                size = payload(view)
                results[name] = compared(asked, view, size, 3 if quick else 12 if size < 1e6 else 3)
                told(name, results[name])
        if not quick:
            results["Tiled"] = tiled_way.measure(path, VIEWS)
            for name, found in results["Tiled"].items():
                if name in VIEWS:
                    told(name, {"floor: raw bytes": results[name]["floor: raw bytes"], "Tiled": found})
                else:
                    print(f"   Tiled: {name}: {found}")
    return results


def compared(
    asked: dict[str, Callable[[dict[str, int], int], Any]], view: dict[str, int], size: int, count: int
) -> dict[str, Any]:
    """Return times and ratios of one view; the ways take turns."""
    times: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(count):
        for name, ask in asked.items():
            if name == "JSON lists" and size > 1e6 and times[name]:
                continue  # seconds each
            times[name] += milliseconds(lambda ask=ask: ask(view, size), 1)
    floor = spread(times["floor: raw bytes"])["median"]
    found: dict[str, Any] = {"payload_bytes": size}
    for name, values in times.items():
        found[name] = {"ms": spread(values), "over_floor": spread(values)["median"] / floor}
    wire = on_wire(asked["slice route"](view, size))
    found["slice route"] |= {"wire_bytes": wire, "wire_over_payload": wire / size}
    return found


def told(view: str, found: dict[str, Any]) -> None:
    """Print one view."""
    for name, values in found.items():
        if isinstance(values, dict) and "ms" in values:
            wire = f"   {values['wire_over_payload']:.3f} × payload on the wire" if "wire_bytes" in values else ""
            over = values["ms"]["median"] / found["floor: raw bytes"]["ms"]["median"]
            print(f"   {view:<22}{name:<18}{values['ms']['median']:>9.1f} ms   × {over:.2f} of the floor{wire}")
