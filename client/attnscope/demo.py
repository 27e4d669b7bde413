"""The main job on this machine, with nothing set up: service, capture, screen, the policy's decision, report."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Final
from uuid import UUID

from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.decisions.following import about, lines_of
from attnscope.decisions.shipped import shipped_card
from attnscope.errors import ConnectionFailedError
from attnscope.recommendations.beside import beside_of
from attnscope.report import write_report
from attnscope.report.summary import summarise
from attnscope.service import Service
from attnscope_storage.wire import CaptureSpec, TaskChoice
from attnscope_storage.wire.specifications.decisions import DecisionCard, DecisionSpec
from attnscope_storage.wire.specifications.screens import ScreenSpec

CHECKPOINT = "AD-absolute-darkroom-reference-seed0@6000"
"""The shipped policy that is captured: Darkroom 9×9, learned positions; its entry names the goals of its training."""

EPISODES = 12
"""Episodes of each rollout: the window of 159 transitions is full for the last third of them."""

TASKS = (1, 5, 6, 7)
"""Places among the policy's validation goals; held-out goals stay unseen. The heatmaps are of the first, (1, 8)."""

REPLICAS = 10
"""Rollouts a goal: as few as an interval can be trusted with."""

SCREENED = 256
"""Decisions that the screen judges: half of a usual screen's, so that the demo stays short."""

BUDGETS = (0.25, 0.4)
"""Shares of the history that are screened."""

START_SECONDS = 120.0
"""Until a service that said nothing is given up."""

PATIENT: Final = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of the service: a thread that waits for another one sleeps.

Threads that spin instead burn many times the work's own CPU time where other programs hold the cores.
"""


@contextmanager
def own_service(root: Path) -> Iterator[Service]:
    """Run `attnscope-server` as a subprocess on a free loopback port, and connect to it.

    Raises
    ------
    ConnectionFailedError
        The server is not installed, or did not start.
    """
    program = server_program()
    environment = {**PATIENT, **os.environ, "ATTNSCOPE_SERVER_API_KEY": os.urandom(24).hex()}
    command = [program, "serve", "--data-root", str(root), "--port", "0", "--no-announce"]
    with (root / "service.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program, its arguments from here
            command, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8", env=environment
        )
    try:
        line = _first_line(process)
        if not line.startswith("listening on "):
            raise ConnectionFailedError(f"the service did not start: {_last_line(root / 'service.log')}")
        url = line.removeprefix("listening on ").strip()
        with Service(Transport(Connection(url, environment["ATTNSCOPE_SERVER_API_KEY"], "the demo"))) as service:
            yield service
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


def server_program() -> str:
    """Return the program that runs a service on this machine.

    Raises
    ------
    ConnectionFailedError
        It is not installed.
    """
    program = shutil.which("attnscope-server") or str(Path(sys.executable).with_name("attnscope-server"))
    if not Path(program).exists():
        raise ConnectionFailedError("this needs the server too: pip install 'attnscope[server]'")
    return program


def _last_line(log: Path) -> str:
    """Return what the service said last: a reason, or the end of its own traceback."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:500] if lines else f"it said nothing for {START_SECONDS:.0f} s"


def _first_line(process: subprocess.Popen[str]) -> str:
    """Return the line that says where the service listens; empty where it ended or said nothing in time."""
    giving_up = Timer(START_SECONDS, process.terminate)
    giving_up.start()
    try:
        return process.stdout.readline() if process.stdout else ""
    finally:
        giving_up.cancel()


def captured() -> CaptureSpec:
    """Return the capture that the demo asks for."""
    tasks = TaskChoice(split="validation", indices=TASKS)
    return CaptureSpec(checkpoint=CHECKPOINT, tasks=tasks, episodes=EPISODES, replicas=REPLICAS, label="demo")


def screened(capture: UUID) -> ScreenSpec:
    """Return the screen of that capture: every rule, at fewer budgets and decisions than usual."""
    return ScreenSpec(capture=capture, budgets=BUDGETS, decisions=SCREENED)


def run(out: Path, *, decide: bool = False, tell: Callable[[str], None] = lambda _line: None) -> list[Path]:
    """Capture the shipped policy on some of its validation goals and screen it; return the files of its report.

    Parameters
    ----------
    decide
        Decide live what it may forget, which takes many minutes. Else the decision that is shipped with it is shown.
    tell
        Hears how long a live decision may take, and its lines as they come.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="attnscope-demo-") as folder, own_service(Path(folder)) as service:
        job = service.submit(captured()).wait(progress=True)
        screen = service.submit(screened(job.id)).wait(progress=True).screen()
        card = _decided(service, tell) if decide else shipped_card(CHECKPOINT)
        capture = job.capture()
        summary, own = out / "summary.txt", out / "decision_card.json"
        summary.write_text(summarise(capture), encoding="utf-8")
        own.write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return [*write_report(capture, out, beside=beside_of(capture, card, screen)), summary, own]


def _decided(service: Service, tell: Callable[[str], None]) -> DecisionCard:
    """Decide as `attnscope decide` does, every line of it told."""
    spec = DecisionSpec(checkpoint=CHECKPOINT)
    tell(f"decision on {CHECKPOINT}: {about(service.estimate(spec))}")
    job = service.submit(spec)
    for line in lines_of(job):
        tell(line)
    return job.decision().card
