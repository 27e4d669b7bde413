"""The live page: its first paint beside maps drawn as SVG lines, and any step of a capture, stored or replayed.

The lines are those of BertViz's head views, re-created: one SVG line a weight, its opacity the weight.
"""

from __future__ import annotations

import http.client
import importlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from selenium.webdriver.support.ui import WebDriverWait

import attnscope
from attnscope.capture import Capture
from attnscope.page.assets import FIRST, asset
from attnscope.page.opening import served
from attnscope.page.server import PageServer
from attnscope.page.subjects import Subject
from attnscope_server.serving import serve_background
from attnscope_server.settings import Settings
from benchmarks import long_capture
from benchmarks.timing import shown, spread

chromium: Any = importlib.import_module("tests.support.chromium")
"""The tests' Chromium."""
client: Any = importlib.import_module("tests.support.page_browser")
"""The tests' bare client of the page."""

VIEW_BUDGET = 200_000
"""Bytes of one view, at most."""

STEPS, ASKED, PAINTS = 400, 60, 5
"""Environment steps of the capture, steps that are asked for, and pages that are opened."""

MARKS = (
    "return Object.fromEntries(performance.getEntries().filter((one) => ['paint', 'mark'].includes(one.entryType))"
    ".map((one) => [one.name, one.startTime]).reverse())"
)
"""Milliseconds since the navigation began, by event; of marks of one name the first."""


def milliseconds(ask: Callable[[int], object], steps: list[int]) -> list[float]:
    """Return the time of each question."""
    times = []
    for step in steps:
        begin = time.perf_counter()
        ask(step)
        times.append(1e3 * (time.perf_counter() - begin))
    return times


@dataclass
class Asker:
    """Asks questions over one connection, as the browser does, and notes the largest answer of each."""

    server: PageServer
    largest: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Enter."""
        browser = client.Browser(self.server)
        browser.enter(self.server.entry.new_code())
        self.headers = {"Cookie": browser.cookie, "X-Attnscope-Page": browser.token}
        self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port)

    def __call__(self, question: str, **asked: object) -> None:
        """Ask one question about the server's first subject."""
        query = urlencode({"at": next(iter(self.server.subjects)), "env": 0, **asked})
        self.connection.request("GET", f"/api/{question}?{query}", headers=self.headers)
        answer = self.connection.getresponse()
        content = answer.read()
        assert answer.status == http.client.OK, content
        name = f"{question} {asked.get('kind', '')}".strip()
        self.largest[name] = max(self.largest.get(name, 0), len(content))


def any_step(server: PageServer, steps: list[int], sampled: set[int]) -> dict[str, dict[str, float]]:
    """Ask for every view of scattered steps."""
    ask, last = Asker(server), max(steps) + 1
    ask("heads", kind="maps", step=steps[-1])  # the replay process starts
    few, unsampled = steps[:10], [step for step in steps[:-1] if step not in sampled]

    def beside(step: int) -> None:
        ask("rollout", first=max(0, step - 200), last=step + 1)
        ask("room")

    found = {
        "stored decision rows": milliseconds(lambda step: ask("heads", kind="rows", step=step), steps),
        "replayed maps": milliseconds(lambda step: ask("heads", kind="maps", step=step), unsampled),
        "head metrics": milliseconds(lambda step: ask("metrics", step=step), steps),
        "transition and grid": milliseconds(beside, steps),
        "overview": milliseconds(lambda step: ask("band", first=0, last=last - step % 7), steps),
        "influence of every transition": milliseconds(lambda step: ask("influence", step=step), few),
    }
    ask.connection.close()
    told = {what: spread(times) for what, times in found.items()}
    for what, times in told.items():
        print(f"  any step, {what:<34} p50 {shown(times, 1)} ms")
    for name, size in ask.largest.items():
        print(f"  largest answer to {name:<26} {size / 1e3:.1f} kB")
        assert size <= VIEW_BUDGET, name
    return told


def lines_page(capture: Capture, step: int) -> str:
    """Return a page of one SVG a head, a line from each query to each key it sees."""
    maps = capture.map(step)
    layers, heads, n, _ = maps.shape
    parts = ["<!doctype html><title>lines</title><body>"]
    for layer in range(layers):
        for head in range(heads):
            parts.append(f'<svg width="200" height="{4 * n}">')
            parts += [
                f'<line x1="20" y1="{4 * query + 2}" x2="180" y2="{4 * key + 2}" stroke="#0072b2" '
                f'stroke-opacity="{maps[layer, head, query, key]:.4f}"/>'
                for query in range(n)
                for key in range(query + 1)
            ]
            parts.append("</svg>")
    return "".join([*parts, "</body>"])


@contextmanager
def folder_server(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def painted(chrome: Any, address: str, wanted: str) -> dict[str, float]:  # noqa: ANN401 - selenium's driver
    """Open a page and return its marks, once one is there."""
    chrome.get("about:blank")
    chrome.get(address)
    WebDriverWait(chrome, 120, 0.02).until(lambda _: wanted in chrome.execute_script(MARKS))
    marks: dict[str, float] = chrome.execute_script(MARKS)
    return marks


def first_paints(server: PageServer, capture: Capture, folder: Path, count: int) -> dict[str, dict[str, float]]:
    """Open the page with maps of every head, and the page of lines of the same step, in turn."""
    step = capture.map_steps()[-1]
    (folder / "lines").mkdir()
    (folder / "lines" / "index.html").write_text(lines_page(capture, step), encoding="utf-8")
    subject = next(iter(server.subjects.values()))
    ours: list[dict[str, float]] = []
    lines: list[float] = []
    with folder_server(folder / "lines") as other, chromium.chromium(folder / "profile") as chrome:
        for _ in range(count + 1):
            ours.append(painted(chrome, f"{server.show(subject).address}&step={step}&kind=maps", "attnscope-heads"))
            lines.append(painted(chrome, f"{other}/", "first-paint")["first-paint"])
    told = {
        "the page, first paint": spread([marks["first-paint"] for marks in ours[1:]]),
        "the page, band drawn": spread([marks["attnscope-overview"] for marks in ours[1:]]),
        "the page, every head's map drawn": spread([marks["attnscope-heads"] for marks in ours[1:]]),
        "SVG lines of the same maps, first paint": spread(lines[1:]),
    }
    for what, times in told.items():
        print(f"  {what:<44} median {shown(times, 0)} ms")
    return told


def run(*, quick: bool) -> dict[str, object]:
    """Print the tables; return their figures."""
    random = np.random.default_rng(0)
    size = sum(len(asset(path)) for path in FIRST)
    print(f"  page and modules: {size / 1e3:.1f} kB")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(data_root=folder / "root", port=0, announce=False, threads=1, durable=False)
        with serve_background(settings) as running, attnscope.connect(running.url, running.key) as service:
            steps = STEPS // 2 if quick else STEPS
            job = service.submit(checkpoint="AD-darkroom", tasks={"goals": [(5, 4)]}, steps=steps).wait()
            with served(running.url, lambda one: Subject.of_job(service.job(one)), folder=folder / "state") as server:
                server.show(Subject.of_job(job))
                held = job.capture()
                scattered = random.permutation(np.arange(held.policy.transitions, steps))
                asked = [int(step) for step in scattered[: ASKED // 3 if quick else ASKED]]
                found = any_step(server, asked, set(held.map_steps()))
                paints = first_paints(server, held, folder, 1 if quick else PAINTS)
        (folder / "long").mkdir()
        long = long_capture.run(folder / "long", quick=quick)
    return {
        "bytes": size,
        "any_step_ms": found,
        "paint_ms": paints,
        "long": long,
        "heads": f"{held.rows.shape[2]} × {held.rows.shape[3]}",
    }
