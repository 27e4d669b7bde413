"""The checkpoints of one training run as one set: their returns, attention and departures over training steps.

The stores are those that ``attnscope-server watch`` left in the run's folder. Nothing here needs torch or a service.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

import attnscope
from attnscope.comparison.numbers import MEASURES
from attnscope.errors import NotCapturedError
from attnscope.screens.board import name_of
from attnscope.screens.results import ScreenResults
from attnscope.study import Choice, study
from attnscope_storage.wire import Condition

WATCH: Final = "attnscope-watch"
"""Folder of a run that a watch writes to."""

SCREEN: Final = "screen.zarr"
"""Name of a checkpoint's screen; its capture lies beside it."""

_STEP: Final = re.compile(r"step-(\d{1,18})")


class NoSeriesError(NotCapturedError):
    """A folder holds no checkpoints that a watch has screened."""


@dataclass(frozen=True)
class Point:
    """A number of one checkpoint with its interval, beside the same of uniform attention where it has one."""

    value: float
    low: float
    high: float
    uniform: float | None = None


@dataclass(frozen=True)
class Line:
    """A quantity over training."""

    name: str
    kind: str
    """``attention``, ``return`` or ``departures``: departures of an episode under a rule."""
    points: tuple[Point, ...]
    """One a training step."""


@dataclass(frozen=True)
class Series:
    """One run's checkpoints, by training step."""

    run: str
    steps: tuple[int, ...]
    lines: tuple[Line, ...]
    caption: str
    """Checkpoint, environment and rollouts of the captures."""

    def of(self, kind: str) -> list[Line]:
        """Return the lines of a kind."""
        return [line for line in self.lines if line.kind == kind]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        lines = [
            {"name": one.name, "kind": one.kind, "points": [vars(point) for point in one.points]} for one in self.lines
        ]
        return {"run": self.run, "steps": list(self.steps), "caption": self.caption, "lines": lines}

    def csv(self) -> str:
        """Return a line a quantity and step."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(("step", "kind", "name", "value", "low", "high", "uniform"))
        for line in self.lines:
            for step, point in zip(self.steps, line.points, strict=True):
                numbers = (point.value, point.low, point.high, point.uniform)
                cells = ["" if one is None or not np.isfinite(one) else one for one in numbers]
                writer.writerow((step, line.kind, line.name, *cells))
        return text.getvalue()


def is_run(path: Path) -> bool:
    """Return True where a path is a folder of checkpoints rather than a store."""
    return path.is_dir() and not (path / "zarr.json").exists()


def read_series(run: Path, choice: Choice | None = None) -> Series:
    """Return the checkpoints of a run that a watch has captured and screened, as one set.

    Parameters
    ----------
    run
        The run's folder.
    choice
        Which steps and environments of each capture are read.

    Raises
    ------
    NoSeriesError
        No checkpoint of it was screened to its end.
    """
    found = sorted(
        (int(match[1]), path) for path in (run / WATCH).glob("step-*") if (match := _STEP.fullmatch(path.name))
    )
    whole = [(step, path) for step, path in found if _complete(path)]
    if not whole:
        raise NoSeriesError(f"{run} holds no screened checkpoint: run attnscope-server watch {run} --once beside torch")
    captures = [attnscope.open(_capture(path)) for _, path in whole]
    studies = [study(capture, choice) for capture in captures]
    lines = [
        Line(
            measure.name, "return" if measure.quantity == "late_return" else "attention", tuple(map(_point, estimates))
        )
        for measure in MEASURES
        for estimates in [[measure.of(read).estimate for read in studies]]
    ]
    lines += _departures([attnscope.open_screen(path / SCREEN).results() for _, path in whole])
    known = [line for line in lines if np.isfinite([point.value for point in line.points]).any()]
    resolved = captures[0].resolved
    count = f"{len(whole)} checkpoint{'s' if len(whole) > 1 else ''}"
    caption = (
        f"{count} of {run.resolve().name} in {resolved.environment_id}; {len(resolved.tasks)} tasks × "
        f"{captures[0].spec.replicas} rollouts, {resolved.steps} steps each; 95 % over rollouts"
    )
    return Series(run.resolve().name, tuple(step for step, _ in whole), tuple(known), caption)


def _complete(path: Path) -> bool:
    """Return True where a checkpoint's screen was written to its end."""
    screen = path / SCREEN
    return (screen / "zarr.json").exists() and attnscope.open_screen(screen).complete


def _capture(path: Path) -> Path:
    return next(one for one in sorted(path.glob("*.zarr")) if one.name != SCREEN)


def _point(estimate: Any) -> Point:  # noqa: ANN401 - an estimate of either room
    return Point(float(estimate.value), float(estimate.low), float(estimate.high), estimate.baseline)


def _departures(screens: list[ScreenResults]) -> list[Line]:
    """Return the departures of an episode under each arm that every checkpoint's screen has."""
    named = [{_name(arm): place for place, arm in enumerate(one.arms)} for one in screens]
    shared = [name for name in named[0] if all(name in other for other in named)]
    found = []
    for name in shared:
        points = []
        for screen, places in zip(screens, named, strict=True):
            of, at = screen.per_episode, places[name]
            points.append(Point(float(of.value[at]), float(of.low[at]), float(of.high[at])))
        found.append(Line(name, "departures", tuple(points)))
    return found


def _name(arm: Condition) -> str:
    budget = "" if arm.budget is None else f" {arm.budget:.0%}" if isinstance(arm.budget, float) else f" {arm.budget}"
    return f"{name_of(arm)}{budget} {arm.positions}"
