"""One checkpoint of a run: read, captured and screened into a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import torch
from pydantic import ValidationError

from attnscope_env.presets.listing import LISTED
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.strategies import build
from attnscope_server.attempts.order import Order
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.following.found import Found
from attnscope_server.following.scalars import scalars
from attnscope_server.screening.job import run_screen
from attnscope_server.screening.resolving import Captured, resolve_screen
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec, CheckpointInfo, MapsChoice, StrategyChoice, TaskChoice
from attnscope_storage.wire.specifications.screens import ScreenSpec
from attnscope_storage.wire.wording import sentence

CPU = torch.device("cpu")
SCREEN = "screen.zarr"
"""Name of a checkpoint's screen; its capture lies beside it."""

TASKS = 4
"""Tasks of a split that are captured where nobody names them."""


class WatchUnfitError(AttnscopeError, ValueError):
    """Options of a watch that no checkpoint can be screened with."""


@dataclass(frozen=True)
class Watched:
    """The options of a watch: what is stated of each checkpoint, and what is captured and screened of it."""

    causal: bool | None = None
    preset: str | None = None
    heads: int | None = None
    context_length: int | None = None
    split: Literal["train", "validation", "test", "all"] | None = None
    tasks: tuple[int, ...] | None = None
    replicas: int = 4
    episodes: int = 6
    strategies: tuple[str, ...] = ("recency", "uniform")
    budgets: tuple[int | float, ...] = (0.1, 0.25, 0.5)
    decisions: int = 256

    def refuse_unfit(self) -> None:
        """Refuse what no checkpoint could be captured or screened with, before any is.

        Raises
        ------
        WatchUnfitError
            A value is out of its range, or one is named twice.
        StrategyError
            There is no rule of that name.
        """
        try:
            _capture_spec(self, "any", TaskChoice(split=self.split or "validation", indices=self.tasks))
            _screen_spec(self, UUID(int=0))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise WatchUnfitError(f"{where}: {sentence(first)}" if where else sentence(first)) from error
        for name in self.strategies:
            build(name, {})


def screen_checkpoint(
    found: Found, folder: Path, name: str, asked: Watched, stopped: Callable[[], bool] = lambda: False
) -> dict[str, float]:
    """Capture and screen a checkpoint, and return its numbers; what an interrupted attempt left is done anew.

    Parameters
    ----------
    folder
        Of this checkpoint's stores.
    name
        How they call it.

    Raises
    ------
    CheckpointUnreadableError
        It is damaged, or written only in part.
    StatementMissingError
        It does not say all that its policy needs.
    RolloutStoppedError
        When `stopped` said so.
    """
    shutil.rmtree(folder, ignore_errors=True)
    registry = CheckpointRegistry(folder / "checkpoints")
    stated = {key: getattr(asked, key) for key in ("causal", "preset", "heads", "context_length")}
    info = registry.add(found.path, name=name, **(stated if found.path.is_file() else {}))
    policy = load_policy(registry.folder(info.id), CPU)
    store = UUID(int=found.step)
    spec = _capture_spec(asked, info.id, _tasks(asked, info))
    resolved = resolve(spec, registry)
    order: dict[str, Any] = {"job": str(store), "owner": "watch", "durable": False}
    path = folder / f"{store}.zarr"
    run_capture(CaptureOrder(spec=spec, resolved=resolved, path=path, **order), policy, info, CPU, stopped=stopped)
    judged = _screen_spec(asked, store)
    captured = CaptureReader.open(path)
    meant = resolve_screen(judged, Captured(store, spec, resolved, captured.steps_committed), registry, LISTED)
    screened = Order(spec=judged, resolved=meant, path=folder / SCREEN, **order)
    run_screen(screened, policy, info, CPU, stopped=stopped)
    shutil.rmtree(registry.root)
    return scalars(captured, CaptureReader.open(folder / SCREEN))


def _capture_spec(asked: Watched, checkpoint: str, tasks: TaskChoice) -> CaptureSpec:
    return CaptureSpec(
        checkpoint=checkpoint,
        tasks=tasks,
        replicas=asked.replicas,
        episodes=asked.episodes,
        maps=MapsChoice(count=0),
    )


def _screen_spec(asked: Watched, store: UUID) -> ScreenSpec:
    return ScreenSpec(
        capture=store,
        strategies=tuple(StrategyChoice(name=one) for one in asked.strategies),
        budgets=asked.budgets,
        decisions=asked.decisions,
    )


def _tasks(asked: Watched, info: CheckpointInfo) -> TaskChoice:
    """Return the tasks to capture: those named, else some validation tasks, else some of training."""
    split = asked.split
    counts = LISTED.preset(info.preset).task_counts
    known = len(info.validation_tasks or ()) or counts["validation"]
    if split is None:
        split = "validation" if known else "train"
    many = known if split == "validation" else counts.get(split, TASKS)
    return TaskChoice(split=split, indices=asked.tasks or tuple(range(min(TASKS, many))))
