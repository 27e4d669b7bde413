"""Captures, advice and trials of one policy, through a service, kept in a folder."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import attnscope
from attnscope.proposal import choice_of
from attnscope.service import Service
from attnscope.trials import TrialResults
from attnscope_storage.wire import CaptureSpec, TrialSpec
from benchmarks.study.subjects import CAPTURE_SEEDS, FRESH_SEEDS, UNTIMED, Subject, trials


@dataclass(frozen=True)
class Found:
    """The results of the study on one policy."""

    advice: dict[str, Any]
    """Frozen before any trial was run; from validation tasks."""
    capture: Path
    trials: dict[str, TrialResults]


def study(service: Service, subject: Subject, folder: Path, only: Collection[str] | None = None) -> Found:
    """Run what the folder does not hold yet."""
    capture = folder / "capture.zarr"
    advice = folder / "advice.json"
    if not advice.exists():
        if not capture.exists():
            _captured(service, subject, capture)
        advice.write_text(attnscope.recommend(attnscope.open(capture)).json(), encoding="utf-8")
    said = json.loads(advice.read_text(encoding="utf-8"))
    specs = trials(subject)
    specs = {"board": specs.pop("board"), "advised": advised(subject, said)} | specs
    found = {}
    for name, spec in specs.items():
        path = folder / f"{name}.zarr"
        if not path.exists() and (not only or name in only):
            # The same specification has the same id, so that a study which was interrupted goes on where it was.
            job = service.submit(spec, job_id=uuid5(NAMESPACE_OID, spec.model_dump_json()))
            print(f"{subject.key}: {name}, {len(job.info.resolved.conditions)} conditions", flush=True)
            job.wait().trial().download(path)
        if path.exists():
            found[name] = attnscope.open_trial(path).results()
    return Found(said, capture, found)


def advised(subject: Subject, advice: dict[str, Any]) -> TrialSpec:
    """Return the trial of the advice's first choice and of its first two that look at no attention.

    On rollouts that nothing else of the study saw.
    """
    ranked = [one for one in advice["recommendations"] if one["key"] not in {"none", "uniform", "random"}]
    blind = [one for one in ranked if one["online"]][:2]
    strategies = {one["key"]: choice_of(one["strategy"]) for one in (ranked[0], *blind)}
    return TrialSpec(
        checkpoint=subject.checkpoint,
        tasks=dict(subject.tasks),
        seeds=FRESH_SEEDS,
        episodes=subject.episodes,
        strategies=tuple(strategies.values()),
        budgets=(0.4, ranked[0]["budget"]),
        positions=(ranked[0]["positions"],),
        kept_steps=8,
        speed=UNTIMED,
    )


def _captured(service: Service, subject: Subject, path: Path) -> None:
    """Capture the policy on tasks that it was chosen by, which no trial reports on."""
    info = next(one for one in service.checkpoints() if one.name == subject.checkpoint)
    chosen_by = set(info.validation_tasks or ())
    goals = [task for task in service.tasks(info.preset) if task.index in chosen_by][:8]
    spec = CaptureSpec(
        checkpoint=info.id,
        tasks={"split": "all", "indices": tuple(task.index for task in goals)},
        seeds=CAPTURE_SEEDS,
        episodes=subject.episodes,
        maps={"count": 0},
    )
    job = service.submit(spec).wait()
    job.capture().download(path)
