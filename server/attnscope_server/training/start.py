"""The part of a plan that says which checkpoint a training goes on from; the checkpoint itself is copied to the run."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import BaseModel, ConfigDict

from attnscope_model.checkpoints.folders import read_entry
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.families.ad import FAMILY, ADPolicy
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.wire import CheckpointInfo

START: Final = "start"
"""Folder of a run in which the checkpoint lies that it goes on from."""


class StartUnfitError(AttnscopeError, ValueError):
    """A training cannot go on from this checkpoint."""


class StartPlan(BaseModel):
    """A checkpoint whose weights a training begins with; its optimiser begins anew."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str
    """Its id."""
    name: str
    step: int
    """Steps that it was trained for."""
    train: tuple[int, ...]
    """Tasks that it was trained on."""
    kept: tuple[int, ...]
    """Tasks that it was chosen or is judged by."""

    @classmethod
    def of(cls, folder: Path) -> tuple[StartPlan, dict[str, Any]]:
        """Return the plan of a checkpoint's folder, and the options that follow from its shape.

        Raises
        ------
        StartUnfitError
            It is not of the native family, or does not say its tasks or its step.
        """
        info = _entry(folder)
        policy = load_policy(folder, torch.device("cpu"))
        if info.policy.family != FAMILY or not isinstance(policy, ADPolicy):
            raise StartUnfitError(f"expected a native policy to go on from, {info.name} is of {info.policy.family}")
        if info.train_tasks is None or info.train_step is None:
            raise StartUnfitError(f"{info.name} does not say which tasks it was trained on, or for how many steps")
        kept = {*(info.validation_tasks or ()), *(info.held_out_tasks or ())}
        start = cls(
            checkpoint=info.id,
            name=info.name,
            step=info.train_step,
            train=info.train_tasks,
            kept=tuple(sorted(kept)),
        )
        shape = policy.config
        follows = {
            "preset": info.preset,
            "positions": shape.positions,
            "clock_steps": shape.clock_steps,
            "clock_episodes": shape.clock_episodes,
            "context_length": shape.context_length,
            "width": shape.width,
            "layers": shape.layers,
            "heads": shape.heads,
            "feedforward": shape.feedforward,
        }
        return start, follows

    def refuse_used(self, trained: Collection[int], kept: Collection[int]) -> None:
        """Refuse to train on tasks that were kept from the checkpoint, or to keep tasks that it was trained on.

        Parameters
        ----------
        trained
            Tasks to train on.
        kept
            Tasks to choose by, and to judge by.

        Raises
        ------
        StartUnfitError
            The lists are not disjoint.
        """
        if used := sorted(set(trained) & set(self.kept)):
            raise StartUnfitError(f"{self.name} was chosen or is judged by tasks that would be trained on: {used[:5]}")
        if used := sorted(set(self.train) & set(kept)):
            raise StartUnfitError(f"{self.name} was trained on tasks that are to be kept: {used[:5]}")

    def weights(self, run: Path, source: Path | None) -> Mapping[str, torch.Tensor]:
        """Return the weights, which lie in the run's folder from the first call on.

        Parameters
        ----------
        run
            Folder of the run.
        source
            Folder of the checkpoint; needed where the run has no copy of it yet.

        Raises
        ------
        StartUnfitError
            There is no copy and no source, or it is another checkpoint.
        """
        copied = run / START
        if not copied.exists():
            if source is None:
                raise StartUnfitError(f"expected the folder of {self.name}, which {run} holds no copy of")
            fresh = run / f".{START}"
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(source, fresh)
            fresh.rename(copied)
        if (found := _entry(copied).id) != self.checkpoint:
            raise StartUnfitError(f"{copied} holds {found[:12]}, the plan goes on from {self.checkpoint[:12]}")
        return load_policy(copied, torch.device("cpu")).state_dict()


def _entry(folder: Path) -> CheckpointInfo:
    info = read_entry(folder)
    if info is None:
        raise StartUnfitError(f"{folder} is no folder of a checkpoint")
    return info
