"""A training run in its folder: histories, plan, log, state, checkpoints; interrupted, it goes on to the same bits."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attnscope_env.histories import Histories
from attnscope_model.training.trainer import PackingWindows, Trainer, initialise
from attnscope_model.training.windows import HistoryArrays
from attnscope_server.training.checkpoints import new_policy, write_checkpoint
from attnscope_server.training.collecting import collect, refuse_unfit_source
from attnscope_server.training.evaluation import episode_returns
from attnscope_server.training.logging import RunLog, refuse_without_tensorboard
from attnscope_server.training.plan import TrainingPlan, tasks_of
from attnscope_storage.errors import AttnscopeError

PLAN, STATE, HISTORIES, LOG = "plan.json", "state.pt", "histories.npz", "log.jsonl"

PARTS = "histories.parts"
"""Folder of histories by task while they are made, where that takes long."""

LOOKED = frozenset({"evaluate_every", "save_every"})
"""Parts of a plan that change no weight: a run may go on with others."""

LOG_EVERY = 50
"""Steps whose mean loss is one line of the log."""

EVALUATED_TASKS, EVALUATED_ROLLOUTS, EVALUATED_EPISODES = 8, 4, 20
"""Size of an evaluation during training: validation tasks, rollouts of each, episodes of a rollout."""


class RunFolderError(AttnscopeError, OSError):
    """The run's folder cannot be made."""


class PlanChangedError(AttnscopeError, ValueError):
    """The folder holds a run of another plan."""


class TrainingRun:
    """One run.

    Parameters
    ----------
    folder
        The run's own; created, or found with an interrupted run of the same plan.
    plan
        What is trained.
    tensorboard
        Also write TensorBoard events; wants the extra ``train``.
    tell
        Hears how many tasks have their histories, and of how many, before they are made and, of a source that takes
        long, after each task.
    start
        Folder of the checkpoint that the plan goes on from; not needed once the run's folder has a copy of it.

    Raises
    ------
    PlanUnfitError, UnderUnfitError, StartUnfitError
        The plan's values do not fit together; nothing is written.
    SourceUnfitError, SourceMissingError
        The source cannot make histories in this room, or is not installed; nothing is written.
    TensorBoardMissingError
        Events are asked for, and TensorBoard is not installed; nothing is written.
    RunFolderError
        The folder cannot be made.
    PlanChangedError
        The folder holds a run of another plan.
    """

    def __init__(
        self,
        folder: Path,
        plan: TrainingPlan,
        *,
        tensorboard: bool = False,
        tell: Callable[[int, int], None] = lambda _done, _tasks: None,
        start: Path | None = None,
    ) -> None:
        plan.refuse_unfit()
        policy = new_policy(plan)
        if plan.under is not None:
            plan.under.refuse_unfit(policy.description)
        if tensorboard:
            refuse_without_tensorboard()
        if not (folder / HISTORIES).exists():
            refuse_unfit_source(plan.environment(), plan.histories)
        self.folder, self.plan = folder, plan
        self.tasks = plan.task_lists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"the run's folder {folder} cannot be made: {error.strerror or error}") from error
        self._settle_plan()
        self.histories = self._histories(tell)
        initialise(policy, plan.recipe.seed, plan.recipe.episode_steps)
        if plan.start is not None:
            policy.load_state_dict(plan.start.weights(folder, start))
        kept = self.histories
        arrays = HistoryArrays(kept.observations, kept.actions, kept.rewards, kept.next_observations, kept.intended)
        under = None if plan.under is None else plan.under.under(plan.environment().horizon)
        own = plan.compressor
        packing = PackingWindows(own.window, own.decisions) if plan.layout == "cad" else None
        self.trainer = Trainer(policy, arrays, plan.recipe, under, packing)
        if (folder / STATE).exists():
            self.trainer.restore(torch.load(folder / STATE, weights_only=True))
        self._log = RunLog(folder / LOG, self.trainer.step, folder / "tensorboard" if tensorboard else None)

    def advance(self, until: int | None = None, tell: Callable[[int, float], None] = lambda _step, _loss: None) -> None:
        """Train to the plan's last step, or to step `until`; `tell` hears of each step and its loss."""
        last = min(until or self.plan.recipe.steps, self.plan.recipe.steps)
        losses: list[float] = []
        began = time.process_time()
        while self.trainer.step < last:
            losses.append(self.trainer.advance())
            step = self.trainer.step
            tell(step, losses[-1])
            if step % LOG_EVERY == 0 or step == last:
                spent = time.process_time() - began
                self._log.write(step, {"loss": float(np.mean(losses)), "cpu_seconds": round(spent, 1)})
                losses = []
            if step % self.plan.evaluate_every == 0 or step == self.plan.recipe.steps:
                self._log.write(step, {"validation_return": self._evaluate()})
            if step % self.plan.save_every == 0 or step == self.plan.recipe.steps:
                self._save()

    def _evaluate(self) -> float:
        """Return the mean return of the last half of the episodes, on validation tasks.

        A policy whose positions know episodes is evaluated while its window grows, which is all that it is made for.
        One that is trained under a compression is evaluated under it.
        """
        room = self.plan.environment()
        episodes = EVALUATED_EPISODES
        if self.plan.recipe.episode_steps is not None:
            episodes = min(episodes, self.plan.context_length // room.horizon)
        tasks = tasks_of(room, self.tasks.validation, EVALUATED_TASKS)
        policy = self.trainer.policy.eval()
        setup = None if self.plan.under is None else self.plan.under.compression
        returns = episode_returns(policy, room, tasks, rollouts=EVALUATED_ROLLOUTS, episodes=episodes, setup=setup)
        policy.train()
        return float(returns[..., episodes // 2 :].mean())

    def _save(self) -> None:
        step = self.trainer.step
        write_checkpoint(self.folder, self.plan, self.trainer.policy, step)
        fresh = self.folder / f".{STATE}"
        torch.save(self.trainer.state(), fresh)
        fresh.replace(self.folder / STATE)

    def _settle_plan(self) -> None:
        path = self.folder / PLAN
        if path.exists():
            refuse_other_plan(self.folder, self.plan)
            return
        resolved = _resolved(self.plan) | {"versions": {"torch": torch.__version__, "numpy": np.__version__}}
        fresh = path.with_name(f".{path.name}")
        fresh.write_text(json.dumps(resolved, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)

    def _histories(self, tell: Callable[[int, int], None]) -> Histories:
        path, parts = self.folder / HISTORIES, self.folder / PARTS
        if not path.exists():
            fresh = path.with_name(f".{path.name}")
            room = self.plan.environment()
            tell(0, len(self.tasks.train))
            collect(room, self.plan.histories, self.tasks.train, parts=parts, tell=tell).save(fresh)
            fresh.replace(path)
        shutil.rmtree(parts, ignore_errors=True)
        histories = Histories.load(path)
        if leaked := sorted(set(histories.tasks.tolist()) - set(self.tasks.train)):
            raise PlanChangedError(f"{path.name} holds histories of tasks that are not trained on: {leaked[:5]}")
        return histories


def refuse_other_plan(folder: Path, plan: TrainingPlan) -> None:
    """Refuse a folder whose run is of a plan that gives other weights; `PlanChangedError` says what differs."""
    try:
        stored = dict(json.loads((folder / PLAN).read_text(encoding="utf-8")).items())
        theirs = TrainingPlan.model_validate({key: stored[key] for key in TrainingPlan.model_fields if key in stored})
    except (ValueError, AttributeError) as error:
        why = f"{folder / PLAN} is no plan that can be read"
        raise PlanChangedError(f"{why}: name another folder or remove it") from error
    before = {**_resolved(theirs), "tasks": stored.get("tasks")}
    decided = {key: value for key, value in _resolved(plan).items() if key not in LOOKED}
    if differing := sorted(name for key, value in decided.items() for name in _differing(key, value, before[key])):
        raise PlanChangedError(
            f"{folder} holds a run of another plan: {', '.join(differing)} differ; name another folder or remove it"
        )


def _differing(key: str, ours: object, theirs: object) -> list[str]:
    """Return the names of what differs, those inside a part with its name before them."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [f"{key}.{name}" for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    return [] if ours == theirs else [key]


def _resolved(plan: TrainingPlan) -> dict[str, Any]:
    return plan.model_dump(mode="json") | {"tasks": plan.task_lists().model_dump(mode="json")}
