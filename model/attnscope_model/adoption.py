"""Taking a checkpoint folder in the native format into a registry, as `attnscope-server train` writes it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from attnscope_model.conversion import checked_name, write_entry
from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.native import CONFIG, ENTRY, WEIGHTS, load_policy
from attnscope_model.parse import MAX_FILE_BYTES
from attnscope_storage.wire import CheckpointInfo


def adopt(source: Path, folder: Path) -> CheckpointInfo:
    """Copy a native checkpoint into `folder` and return its entry, after building its policy.

    Raises
    ------
    CheckpointUnreadableError
        A file is missing, damaged or too large, or the entry describes another policy than the weights give.
    CheckpointChangedError
        The weights are not those that the entry names.
    """
    for name in (WEIGHTS, CONFIG, ENTRY):
        path = source / name
        if not path.is_file():
            raise CheckpointUnreadableError(f"{source.name} holds no {name}")
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise CheckpointUnreadableError(f"{name} has {size} bytes, more than the {MAX_FILE_BYTES} read here")
        shutil.copyfile(path, folder / name)
    try:
        info = CheckpointInfo.model_validate(json.loads((folder / ENTRY).read_bytes()))
    except ValueError as error:
        raise CheckpointUnreadableError(f"the entry of {source.name} is damaged: {error}") from error
    checked_name(info.name)
    if (built := load_policy(folder, torch.device("cpu")).description) != info.policy:
        raise CheckpointUnreadableError(f"the entry of {source.name} describes {info.policy}, its weights give {built}")
    write_entry(folder, info)
    return info
