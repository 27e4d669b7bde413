"""The main job on this machine, with nothing set up: service, capture, screen, the policy's decision, report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from attnscope.decisions.shipped import shipped_card
from attnscope.following import about, lines_of
from attnscope.own_service import own_service
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
