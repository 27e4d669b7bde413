"""A planted capture of 50,000 steps beside one of 400, both in a service's root: opened and scrubbed in a browser.

Both hold the statistics of every environment and the rows of one. The service is a process of its own, whose reads the
system counts.
"""

from __future__ import annotations

import importlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import attnscope
from attnscope.page.opening import served as page_served
from attnscope.page.server import PageServer
from attnscope.page.subjects import Subject
from attnscope.service import Service
from attnscope_server.root.paths import capture_path
from attnscope_storage.reading.reader import CaptureReader
from benchmarks.service import KEY, process_of
from benchmarks.suites.wide import HERE, environment
from benchmarks.timing import shown, spread

chromium: Any = importlib.import_module("tests.support.chromium")

WRITE = "import json, sys; from pathlib import Path; from planted import write_large_capture; "
WRITE += "write_large_capture(Path(sys.argv[1]), **json.loads(sys.argv[2]))"

STEPS, SHORT_STEPS, ENVS = 50_000, 400, 64
SHAPE = {"layers": 1, "heads": 3, "slots": 100, "envs": ENVS, "row_envs": 1, "distinct": 1024}
"""A policy whose 50,000 steps of statistics fit into 500 MB."""

PANES = ("overview", "heads", "place", "metrics")

SCRUB = """
const [steps, done] = [arguments[0], arguments[arguments.length - 1]];
const slider = document.getElementById("step");
const channel = new MessageChannel();
const turn = () => new Promise((resolve) => { channel.port1.onmessage = resolve; channel.port2.postMessage(0); });
(async () => {
  const times = [];
  for (const step of steps) {
    const begun = performance.now();
    slider.value = step;
    slider.dispatchEvent(new Event("input"));
    do await turn(); while (document.querySelector("[aria-busy]"));
    times.push(performance.now() - begun);
  }
  done(times);
})();
"""
"""Moves the slider to steps, one after the other; gives the milliseconds until every view of each is drawn."""

MARKS = (
    "return Object.fromEntries(performance.getEntriesByType('mark').map((one) => [one.name, one.startTime]).reverse())"
)


def plant(client: Service, root: Path, steps: int) -> str:
    """Put a planted capture of so many steps in the place of a real job's; return the job."""
    goals = [(5, 4)]
    job = client.submit(checkpoint="AD-darkroom", tasks={"goals": goals}, steps=1, maps={"count": 0}).wait()
    path = capture_path(root, str(job.id))
    shutil.rmtree(path)
    command = [sys.executable, "-c", WRITE, str(path), json.dumps({"steps": steps, **SHAPE})]
    subprocess.run(command, env=environment(HERE, HERE / "tests" / "support"), check=True)
    return str(job.id)


def size_of(folder: Path) -> int:
    """Return the bytes of a folder's files."""
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())


def chunk_bytes(folder: Path, steps: int) -> float:
    """Return the stored bytes of the chunks that one step lies in, of every array that the page shows of a step."""
    names = [f"stats/{name}" for name in ("max", "self", "sink", "entropy", "effective", "recency")]
    names += ["attention/rows", "rollout/observation", "rollout/action"]
    reader = CaptureReader.open(folder)
    return sum(size_of(folder / name) / math.ceil(steps / reader.array(name).chunks[0]) for name in names)


def bytes_read(pid: int) -> int:
    """Return the bytes that a process has read from files until now."""
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("rchar")))


def opened(chrome: Any, server: PageServer, client: Service, job: str) -> float:  # noqa: ANN401 - selenium's driver
    """Open a capture that this page server has not read yet; return the milliseconds until every view is drawn."""
    chrome.get("about:blank")
    chrome.get(server.show(Subject.of_job(client.job(job))).address)
    wanted = [f"attnscope-{name}" for name in PANES]
    waiting = chromium.WebDriverWait(chrome, 120, 0.02)
    marks = waiting.until(lambda _: all(name in (m := chrome.execute_script(MARKS)) for name in wanted) and m)
    return max(float(marks[name]) for name in wanted)


def run(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Print the tables of both captures; return their figures.

    Parameters
    ----------
    folder
        An empty one.
    """
    steps, count = (5_000, 2) if quick else (STEPS, 5)
    found: dict[str, Any] = {}
    with process_of(folder) as (url, pid), attnscope.connect(url, KEY) as client:
        jobs = {many: plant(client, folder / "service", many) for many in (SHORT_STEPS, steps)}
        size = size_of(capture_path(folder / "service", jobs[steps]))
        print(f"  planted: {steps} steps × {ENVS} environments, {size / 1e6:.0f} MB; beside {SHORT_STEPS} steps")
        state = folder / "state"
        with (
            page_served(url, lambda name: Subject.of_job(client.job(name)), folder=state) as server,
            chromium.chromium(folder / "long-profile") as chrome,
        ):
            times: dict[int, list[float]] = {many: [] for many in jobs}
            for turn in range(count + 1):
                for many, job in jobs.items():
                    taken = opened(chrome, server, client, job)
                    if turn:
                        times[many].append(taken)
            ratio = spread([b / a for a, b in zip(times[SHORT_STEPS], times[steps], strict=True)])
            for many, values in times.items():
                print(f"  {many} steps, opened, every view drawn: median {shown(spread(values), 0)} ms")
                found[f"opened_ms_{many}"] = spread(values)
            print(f"  ratio of each pair: median {shown(ratio)}")
            for many, job in jobs.items():
                opened(chrome, server, client, job)
                asked = np.random.default_rng(1).permutation(np.arange(150, many))[: 10 if quick else 60].tolist()
                found[f"scrubbed_{many}"] = scrubbed(chrome, lambda: bytes_read(pid), asked)
                print(f"  {many} steps, any step, every view drawn: {told(found[f'scrubbed_{many}'])}")
                held = chunk_bytes(capture_path(folder / "service", job), many)
                print(f"  {many} steps, the chunks that a step lies in: {held / 1e3:.0f} kB")
                found[f"chunk_bytes_{many}"] = held
    return {"bytes": size, "ratio": ratio, **found}


def scrubbed(chrome: Any, reads: Callable[[], int], steps: list[int]) -> dict[str, Any]:  # noqa: ANN401 - as above
    """Move to scattered steps; return milliseconds, and the bytes that service and browser read for each."""
    transferred = "return performance.getEntriesByType('resource').reduce((all, one) => all + one.transferSize, 0)"
    chrome.execute_script("performance.clearResourceTimings()")
    chrome.set_script_timeout(120)
    before = reads()
    times = chrome.execute_async_script(SCRUB, steps)
    return {
        "ms": spread(times),
        "read_bytes": (reads() - before) / len(steps),
        "sent_bytes": chrome.execute_script(transferred) / len(steps),
    }


def told(one: dict[str, Any]) -> str:
    """Return times and bytes of a step as they are printed."""
    of = f"{one['read_bytes'] / 1e3:.0f} kB read by the service, {one['sent_bytes'] / 1e3:.1f} kB sent to the browser"
    return f"p50 {shown(one['ms'], 1)} ms, {of}"
