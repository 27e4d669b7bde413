"""The report of an evaluation: mean returns by episode with intervals, beside the optimal and the random policy's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from pydantic import ValidationError

from attnscope_env import preset
from attnscope_env.presets.tasks import EnvPreset, Task
from attnscope_model.checkpoints.native import ENTRY, load_policy
from attnscope_model.errors import CheckpointUnreadableError
from attnscope_server.training.evaluation import episode_returns
from attnscope_server.training.plan import tasks_of
from attnscope_server.training.under import UnderPlan
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.wire import CheckpointInfo
from attnscope_storage.wire.wording import sentence

RESAMPLES = 2000
"""Bootstrap resamples of an interval."""

UNRELIABLE_BELOW = 10
"""Rollouts of a task below which an interval is marked."""

BINS = ((1, 1), (2, 5), (6, 10), (11, 20), (21, 30), (31, 40), (41, 50))
"""First and last episode of a column, counted from 1."""

LISTS = {"train": "train_tasks", "validation": "validation_tasks", "held-out": "held_out_tasks"}
"""Field of an entry that holds the tasks of a split."""


class Size(NamedTuple):
    """The extent of the rollouts of a task."""

    rollouts: int
    episodes: int
    seed: int


class EvaluationRefusedError(AttnscopeError, ValueError):
    """The checkpoints do not belong together, or do not say what they were trained on."""


def evaluate_checkpoints(
    folders: Sequence[Path],
    *,
    splits: Sequence[str],
    rollouts: int,
    episodes: int,
    at_most: Mapping[str, int],
    seed: int,
    tell: Callable[[str], None],
    kept: Path | None = None,
    under: UnderPlan | None = None,
) -> dict[str, Any]:
    """Return every return of every checkpoint, and tell a table.

    Parameters
    ----------
    folders
        Checkpoints in the native format; several are training seeds of one recipe, and the interval is over them too.
    splits
        Of `LISTS`; the tasks are those that the checkpoints' entries name, so that nothing is called held-out that
        was not.
    at_most
        Tasks of a split, by split, spread evenly over it; all where a split is not named.
    kept
        Folder of returns that were measured before and are taken again, by checkpoint id and size; None keeps none.
    under
        The compression of the contexts; None evaluates whole ones.

    Raises
    ------
    UnderUnfitError
        The compression does not fit the policies.
    EvaluationRefusedError
        The checkpoints are not training seeds of one recipe, or name different presets or tasks, or none.
    """
    entries = [_entry(folder) for folder in folders]
    _refuse_other_than_seeds(entries)
    if under is not None:
        under.refuse_unfit(entries[0].policy)
    room = preset(entries[0].preset)
    named = {split: _tasks(entries, split, room) for split in splits}  # all refusals before anything is rolled out
    report: dict[str, Any] = {
        "checkpoints": [{"name": entry.name, "id": entry.id} for entry in entries],
        "preset": room.name,
        "rollouts": rollouts,
        "sampling_seed": seed,
        "splits": {},
    }
    if under is not None:
        report["under"] = under.told().model_dump()
    tell(heading([entry.name for entry in entries], rollouts))
    tell(_contexts(entries, under))
    for split, indices in named.items():
        tasks = tasks_of(room, indices, at_most.get(split))
        size = Size(rollouts, episodes, seed)
        measured = []
        for folder, entry in zip(folders, entries, strict=True):
            shortened = "" if under is None else f"-under-{under.short}-{under.positions}"
            name = f"{entry.id[:16]}-{split}-{len(tasks)}x{rollouts}x{episodes}-seed{seed}{shortened}.npy"
            measured.append(_measured(folder, room, tasks, size, under, None if kept is None else kept / name))
        returns = np.stack(measured)
        lines = {name: [getattr(task, f"{name}_return") for task in tasks] for name in ("optimal", "random")}
        report["splits"][split] = {"tasks": [task.index for task in tasks], **lines, "returns": returns.tolist()}
        tell(table(split, returns, float(np.mean(lines["optimal"])), float(np.mean(lines["random"])), seed))
    return report


def _measured(
    folder: Path, room: EnvPreset, tasks: Sequence[Task], size: Size, under: UnderPlan | None, path: Path | None
) -> Float64[np.ndarray, "task rollout episode"]:
    """Return a checkpoint's returns, from `path` if they are there; else they are left there."""
    if path is not None and path.exists():
        return np.asarray(np.load(path, allow_pickle=False))
    setup = None if under is None else under.compression
    returns = episode_returns(load_policy(folder, torch.device("cpu")), room, tasks, **size._asdict(), setup=setup)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, returns)
    return returns


def table(
    split: str, returns: Float64[np.ndarray, "seed task rollout episode"], optimal: float, random: float, seed: int
) -> str:
    """Return a split's lines: mean and 95 % interval of each bin of episodes, and the two lines beside them."""
    seeds, tasks, rollouts, episodes = returns.shape
    mark = " (unreliable: fewer than 10 rollouts)" if rollouts < UNRELIABLE_BELOW else ""
    lines = [f"{split}: {tasks} tasks; optimal {optimal:.2f}, random {random:.2f}{mark}"]
    for first, last in BINS:
        if first > episodes:
            break
        last = min(last, episodes)  # noqa: PLW2901 - the last column ends where the rollouts do
        part = returns[..., first - 1 : last].mean(axis=-1)
        low, high = interval(part, seed)
        name = f"episode {first}" if first == last else f"episodes {first}-{last}"
        each = f"  by seed {' '.join(f'{value:.2f}' for value in part.mean(axis=(1, 2)))}" if seeds > 1 else ""
        lines.append(f"  {name:<15} {part.mean():6.2f}  [{low:.2f}, {high:.2f}]{each}")
    return "\n".join(lines)


def interval(values: Float[np.ndarray, "seed task rollout"], seed: int) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean: seeds are resampled, and rollouts within seed and task.

    Tasks stay as they are: the claim is about these tasks.
    """
    rng = np.random.default_rng(seed)
    seeds, tasks, rollouts = values.shape
    chosen = rng.integers(0, seeds, (RESAMPLES, seeds, 1, 1))
    drawn = rng.integers(0, rollouts, (RESAMPLES, seeds, tasks, rollouts))
    means = values[chosen, np.arange(tasks)[:, None], drawn].mean(axis=(1, 2, 3))
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def heading(names: Sequence[str], rollouts: int) -> str:
    """Return the first line of a report: whose returns they are, and what an interval is over."""
    named = ", ".join(names)
    if len(names) == 1:
        return f"For this checkpoint ({named}): {rollouts} rollouts a task, sampled actions; interval over rollouts."
    return (
        f"{len(names)} training seeds ({named}): {rollouts} rollouts a task and seed, sampled actions; "
        "interval over seeds and rollouts."
    )


def _contexts(entries: Sequence[CheckpointInfo], under: UnderPlan | None) -> str:
    """Say over which contexts the policies act, and whether they were trained on such."""
    here = "whole contexts" if under is None else f"contexts compressed by {under.text}"
    told = None if under is None else under.told()
    if all(entry.trained_under == told for entry in entries):
        return here
    trained = sorted({"whole ones" if e.trained_under is None else e.trained_under.text for e in entries})
    return f"{here}; trained under {', '.join(trained)}"


def _refuse_used(entry: CheckpointInfo, tasks: Sequence[int]) -> None:
    """Refuse to call tasks held out that were trained on or chosen by, or where nobody knows what was trained on."""
    if entry.train_tasks is None:
        raise EvaluationRefusedError(f"{entry.name} does not say its train tasks: nothing of it can be called held-out")
    if used := sorted({*entry.train_tasks, *(entry.validation_tasks or ())} & set(tasks)):
        raise EvaluationRefusedError(f"{entry.name} was trained on or chosen by its held-out tasks {used[:5]}")


def _refuse_other_than_seeds(entries: Sequence[CheckpointInfo]) -> None:
    """Refuse to call training seeds what is one run twice, or policies of several kinds."""
    runs = [entry.name.partition("@")[0] for entry in entries]
    if twice := sorted({run for run in runs if runs.count(run) > 1}):
        raise EvaluationRefusedError(f"{twice[0]} is named twice: checkpoints of one run are not training seeds")
    recipes = {run.rpartition("-seed")[0] for run in runs}
    if len(recipes) > 1 or len({(entry.preset, entry.policy) for entry in entries}) > 1:
        raise EvaluationRefusedError(f"{', '.join(runs)} are not training seeds of one recipe: evaluate each by itself")


def _entry(folder: Path) -> CheckpointInfo:
    try:
        return CheckpointInfo.model_validate(json.loads((folder / ENTRY).read_bytes()))
    except (OSError, ValueError) as error:
        wrong = sentence(error.errors(include_url=False)[0]) if isinstance(error, ValidationError) else error
        raise CheckpointUnreadableError(f"{folder} is no checkpoint folder: {wrong}") from error


def _tasks(entries: Sequence[CheckpointInfo], split: str, room: EnvPreset) -> tuple[int, ...]:
    """Return the split's tasks, which all entries must name alike.

    A checkpoint that states its train tasks and no held-out ones, as one from elsewhere does, is held to the preset's
    test split.
    """
    if split not in LISTS:
        raise EvaluationRefusedError(f"expected a split of {sorted(LISTS)}, got {split!r}")
    named = {(entry.preset, getattr(entry, LISTS[split])) for entry in entries}
    if len(named) > 1:
        raise EvaluationRefusedError(f"these checkpoints name different {split} tasks: they are not one recipe's seeds")
    ((_, tasks),) = named
    if tasks is None and split == "held-out" and entries[0].train_tasks is not None:
        tasks = tuple(task.index for task in room.tasks("test")) or None
    if tasks is None:
        raise EvaluationRefusedError(f"{entries[0].name} does not say which tasks are its {split} tasks")
    if split == "held-out":
        for entry in entries:
            _refuse_used(entry, tasks)
    return tuple(tasks)
