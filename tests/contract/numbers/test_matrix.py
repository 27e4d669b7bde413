"""Every producer of captures against every consumer: a result, or a sentence that says why not; never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import attnscope
from attnscope_server.serving import serve_background
from matrix import cells, producers

SERVICE = "service"
"""In the sentence of what needs a checkpoint, so a service."""

MAPS = "whole attention maps"
"""In the sentence of what an imported file of arrays does not say."""

JOB = "name the job"
"""In the sentence of what is a job about a job."""

ROWS = "only decision rows are stored"
"""In the sentence of what a policy that remembers computes no other row for."""

LOCAL = {"influence": SERVICE, "screen": JOB}
"""Of a capture without a service: these run the policy."""

REMEMBERED = {"heatmap": "no whole maps", "influence": ROWS, "screen": JOB}

GOLDEN = dict.fromkeys(("summary", "heatmap", "rows", "recommend", "report", "compare", "notebook"), "ResolvedCapture")
"""The oldest store holds arrays of a made-up rollout, and no document that says what they are."""

NO_ROWS = dict.fromkeys(("rows", "recommend"), "decision rows")
"""Of a capture that keeps none; its report says so in the place of what it lacks."""

NOTHING_PACKED = {"latents": "the policy packs nothing"}
"""Of every capture but the packed one."""

SHORT = ("summary", "rows", "recommend", "xarray")
"""Consumers that take rows in different ways; the other ones take what these make of them."""

FORMS = {"newest golden store": ("rows", "xarray"), "bytes": SHORT, "age bins": SHORT, "a curve alone": SHORT}
FORMS |= {
    "branches": (*SHORT, "report"),
    "action vectors": SHORT,
    "no distribution": SHORT,
    "tiles": (*SHORT, "report"),
}
"""By producer, the consumers that are asked of what differs from another capture in its rows, or its actions, alone."""

EXPECTED: dict[str, dict[str, str]] = {
    "captured": {},
    "cancelled": {},
    "failed": {},
    "running": {},
    "fetched": LOCAL,
    "imported with returns": LOCAL,
    "imported without": LOCAL,
    "imported arrays": {**LOCAL, "heatmap": MAPS},
    "golden store": {**LOCAL, **GOLDEN},
    "newest golden store": {**LOCAL, **GOLDEN},
    "bytes": LOCAL,
    "age bins": {**LOCAL, "rows": "age bins"},
    "a curve alone": {**LOCAL, **NO_ROWS},
    "one step": {"recommend": "no history", "influence": "no transition", "screen": JOB},
    "one head": LOCAL,
    "one environment": LOCAL,
    "three tokens": LOCAL,
    "dpt": LOCAL,
    "language model": LOCAL,
    "memory": REMEMBERED,
    "rolling": REMEMBERED,
    "returns": REMEMBERED,
    "packed": {"influence": "only maps are replayed", "screen": JOB},
    "branches": LOCAL,
    "action vectors": LOCAL,
    "no distribution": LOCAL,
    "tiles": LOCAL,
}
"""By producer, the consumers that refuse and a word of the sentence; every other cell is a result."""

SAMPLE = [
    ("imported without", "summary"),
    ("imported arrays", "heatmap"),
    ("imported with returns", "recommend"),
    ("dpt", "compare"),
]
"""Cells that are run in hostile surroundings too."""

HOSTILE_RC = """
text.usetex: True
axes.grid: True
figure.facecolor: black
savefig.facecolor: red
savefig.bbox: standard
font.size: 30
image.origin: lower
figure.autolayout: True
backend: tkagg
"""
"""A matplotlibrc that breaks figures which take its settings."""


def outcomes(folder: Path, asked: list[tuple[str, str, str]], **surroundings: str) -> dict[tuple[str, str], str]:
    """Run cells in a process of their own, where a missing encoding is an error, and return their results."""
    name = f"{len(list(folder.iterdir()))}.json"
    (folder / name).write_text(json.dumps(asked), encoding="utf-8")
    support = Path(cells.__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(support), "MPLCONFIGDIR": str(folder)} | surroundings
    command = [
        sys.executable,
        "-X",
        "warn_default_encoding",
        cells.__file__,
        str(folder / name),
        str(folder / f"r{name}"),
    ]
    ran = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode(errors="replace")
    found = json.loads((folder / f"r{name}").read_text(encoding="utf-8"))
    return {(producer, consumer): said for producer, consumer, said in found}


def wrong(found: dict[tuple[str, str], str]) -> list[str]:
    """Return the cells whose outcome is not the expected one."""
    bad = []
    for (producer, consumer), said in found.items():
        word = EXPECTED[producer].get(consumer, NOTHING_PACKED.get(consumer) if producer != "packed" else None)
        right = said == "result" if word is None else said.startswith("refused: ") and word in said
        if not right:
            bad.append(f"{producer} × {consumer}: expected {word or 'a result'}, got {said}")
    return bad


def table(found: dict[tuple[str, str], str]) -> str:
    """Return the outcomes as a table: a result, a refusal, or a traceback."""
    marks = {"res": "+", "ref": "says", "TRA": "TRACEBACK"}
    names = [name for name in cells.CONSUMERS if any(consumer == name for _, consumer in found)]
    lines = [f"{'':22}" + " ".join(f"{name:9}" for name in names)]
    for producer in dict.fromkeys(producer for producer, _ in found):
        row = [marks[found[producer, name][:3]] if (producer, name) in found else "" for name in names]
        lines.append(f"{producer:22}" + " ".join(f"{mark:9}" for mark in row))
    return "\n".join(lines)


def judge(found: dict[tuple[str, str], str]) -> None:
    """Print the table and fail with every wrong cell."""
    print("\n" + table(found))  # noqa: T201 - the table is what the test shows
    bad = wrong(found)
    assert not bad, "\n".join(bad)


@pytest.fixture(scope="session")
def local(tmp_path_factory) -> dict[str, str]:
    """Return the captures that need no service, by producer."""
    return producers.local(tmp_path_factory.mktemp("producers"))


def test_every_consumer_takes_every_capture_on_this_disk(local, tmp_path):
    """Captures of every shape and origin in a folder: each cell is what was written down."""
    shapes = {name: attnscope.open(local[name]).policy for name in ("three tokens", "dpt", "one head")}
    assert (shapes["three tokens"].tokens_per_transition, shapes["dpt"].query_slot, shapes["one head"].heads) == (
        3,
        "first",
        1,
    )
    asked = [
        (name, place, consumer)
        for name, place in local.items()
        for consumer in cells.CONSUMERS
        if name not in FORMS or consumer in FORMS[name]
    ]
    judge(outcomes(tmp_path, asked))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_sample_of_cells_in_hostile_surroundings(local, tmp_path, encoding):
    """A terminal that cannot show most characters, and a matplotlibrc that asks for everything odd, change nothing."""
    (tmp_path / "matplotlibrc").write_text(HOSTILE_RC, encoding="utf-8")
    asked = [(name, local[name], consumer) for name, consumer in SAMPLE]
    judge(outcomes(tmp_path, asked, PYTHONIOENCODING=encoding, MPLBACKEND="no-such-backend"))


@pytest.mark.slow
def test_every_consumer_takes_the_capture_of_every_job(tmp_path, service_settings):
    """Jobs that succeeded, were cancelled and failed, and one downloaded: each cell is what was written down."""
    where = service_settings()
    jobs = producers.enter_jobs(where)
    with serve_background(where) as running:
        surroundings = {"ATTNSCOPE_URL": running.url, "ATTNSCOPE_API_KEY": running.key}
        with attnscope.connect(running.url, running.key) as service:
            fetched = str(service.job(jobs["captured"]).capture().download(tmp_path / "fetched.zarr"))
        asked = [(name, job, consumer) for name, job in jobs.items() for consumer in cells.CONSUMERS]
        asked += [("fetched", fetched, consumer) for consumer in cells.CONSUMERS]
        judge(outcomes(tmp_path, asked, **surroundings))


@pytest.mark.slow
def test_every_consumer_takes_the_capture_of_a_running_job(tmp_path, service_settings):
    """A job whose worker is at it, some steps committed: all answer, influence too, which another process replays."""
    deaf = (sys.executable, "-c", "import sys; [line for line in sys.stdin]")
    where = service_settings(worker_command=deaf, worker_start_seconds=3600, housekeeping_seconds=3600)
    jobs = producers.enter_jobs(where, running=True)
    with serve_background(where) as running:
        surroundings = {"ATTNSCOPE_URL": running.url, "ATTNSCOPE_API_KEY": running.key}
        asked = [("running", jobs["running"], consumer) for consumer in cells.CONSUMERS]
        judge(outcomes(tmp_path, asked, **surroundings))
