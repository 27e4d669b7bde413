"""The native format: ``model.safetensors``, ``config.json`` and ``entry.json`` in a folder named by their hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from attnscope_model.errors import CheckpointChangedError, CheckpointUnreadableError
from attnscope_model.policy import Policy
from attnscope_model.reference import FAMILY, ReferenceConfig, ReferencePolicy

WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"
ENTRY: Final = "entry.json"


def config_bytes(config: ReferenceConfig) -> bytes:
    """Return a configuration as it is stored, the same bytes for the same values."""
    return json.dumps({"family": FAMILY, **asdict(config)}, sort_keys=True).encode()


def identity(weights: bytes, config: bytes) -> str:
    """Return the id of a checkpoint: sha256 over weights and configuration, hex."""
    return hashlib.sha256(hashlib.sha256(weights).digest() + hashlib.sha256(config).digest()).hexdigest()


def load_policy(folder: Path, device: torch.device) -> Policy:
    """Return the policy of a registered checkpoint.

    Raises
    ------
    CheckpointUnreadableError
        A file is missing or of an unknown family.
    CheckpointChangedError
        The bytes are not those that the entry names.
    """
    tensors, config = _verified(folder)
    if config.pop("family", None) != FAMILY:
        raise CheckpointUnreadableError(f"{folder.name}: expected the family {FAMILY}")
    return ReferencePolicy.from_tensors(ReferenceConfig(**config), tensors).to(device)


def load_tensors(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a registered checkpoint, under the names of the file they came from."""
    return _verified(folder)[0]


def _verified(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        weights, config = (folder / WEIGHTS).read_bytes(), (folder / CONFIG).read_bytes()
        named = json.loads((folder / ENTRY).read_bytes())["id"]
        if identity(weights, config) != named:
            raise CheckpointChangedError(f"the bytes of checkpoint {named[:12]} are not those that were registered")
        return load(weights), json.loads(config)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        if isinstance(error, CheckpointChangedError):
            raise
        raise CheckpointUnreadableError(f"checkpoint {folder.name}: {error}") from error
