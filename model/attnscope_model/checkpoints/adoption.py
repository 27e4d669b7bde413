"""Taking a checkpoint folder in the native format into a registry, as `attnscope-server train` writes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from attnscope_model.checkpoints.conversion import checked_name, checked_tasks, write_entry
from attnscope_model.checkpoints.examined import MAX_CONFIG_BYTES, examine_apart
from attnscope_model.checkpoints.native import CONFIG, ENTRY, WEIGHTS, identity
from attnscope_model.errors import CheckpointChangedError, CheckpointUnreadableError
from attnscope_model.parsing.limits import MAX_FILE_BYTES
from attnscope_model.readers.presets import FACTS
from attnscope_storage.wire import CheckpointInfo
from attnscope_storage.wire.wording import sentence

MAX_ENTRY_BYTES: Final = 2**20
"""Size of an entry, at most; its lists of tasks are the longest part."""

_MOST_BYTES: Final = {WEIGHTS: MAX_FILE_BYTES, CONFIG: MAX_CONFIG_BYTES, ENTRY: MAX_ENTRY_BYTES}


def adopt(source: Path, folder: Path) -> CheckpointInfo:
    """Copy a native checkpoint into `folder` and return its entry, after building its policy in a child process.

    Raises
    ------
    CheckpointUnreadableError
        A file is missing, damaged or too large; the entry describes another policy than the weights give, names a
        preset of another size, or a task in two of its lists.
    TrainTasksError
        The preset has no such tasks.
    CheckpointChangedError
        The weights are not those that the entry names.
    """
    for name, most in _MOST_BYTES.items():
        path = source / name
        if not path.is_file():
            raise CheckpointUnreadableError(f"{source.name} holds no {name}")
        if (size := path.stat().st_size) > most:
            raise CheckpointUnreadableError(f"{name} has {size} bytes, more than the {most} read here")
        shutil.copyfile(path, folder / name)
    try:
        info = CheckpointInfo.model_validate(json.loads((folder / ENTRY).read_bytes()))
    except (ValueError, RecursionError) as error:
        wrong = sentence(error.errors(include_url=False)[0]) if isinstance(error, ValidationError) else str(error)
        raise CheckpointUnreadableError(f"the entry of {source.name} is damaged: {wrong[:500]}") from error
    checked_name(info.name)
    if identity((folder / WEIGHTS).read_bytes(), (folder / CONFIG).read_bytes()) != info.id:
        raise CheckpointChangedError(f"the bytes of checkpoint {info.id[:12]} are not those that were registered")
    if (built := examine_apart(folder, source.name)) != info.policy:
        raise CheckpointUnreadableError(f"the entry of {source.name} describes {info.policy}, its weights give {built}")
    _refuse_other_room(source.name, info, json.loads((folder / CONFIG).read_bytes()))
    _refuse_shared_tasks(source.name, info)
    write_entry(folder, info)
    return info


def _refuse_other_room(name: str, info: CheckpointInfo, config: Mapping[str, Any]) -> None:
    """Refuse an entry that puts a policy into a room whose cells or actions its tables do not have."""
    if (facts := FACTS.get(info.preset)) is None:
        return  # a listed environment of an operator, which only the service knows
    features, grid_size = config.get("features"), config.get("grid_size")
    sides = set(features) if isinstance(features, list) else {grid_size} if grid_size else set()
    if sides - {facts.grid_size} or info.policy.actions != facts.num_actions:
        raise CheckpointUnreadableError(
            f"the entry of {name} names the preset {info.preset}, of {facts.grid_size} rows and {facts.num_actions} "
            f"actions; its weights are for {sorted(sides)} rows and {info.policy.actions} actions"
        )


def _refuse_shared_tasks(name: str, info: CheckpointInfo) -> None:
    """Refuse lists of tasks that share one: what was trained on or chosen by is not held out."""
    named = {"train": info.train_tasks, "validation": info.validation_tasks, "held-out": info.held_out_tasks}
    lists = {split: set(checked_tasks(tasks, info.preset) or ()) for split, tasks in named.items()}
    for one, other in combinations(lists, 2):
        if shared := sorted(lists[one] & lists[other]):
            raise CheckpointUnreadableError(f"the entry of {name} has {shared[:5]} among its {one} and {other} tasks")
