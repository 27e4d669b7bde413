"""The native format: ``model.safetensors``, ``config.json`` and ``entry.json`` in a folder named by their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from attnscope_model.errors import CheckpointChangedError, CheckpointUnreadableError
from attnscope_model.families import ad
from attnscope_model.forward.boundary import own_tensors
from attnscope_model.forward.policy import Policy
from attnscope_model.readers import READERS, readers

WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"
ENTRY: Final = "entry.json"

Builder = Callable[[dict[str, Any], Mapping[str, Tensor]], Policy]

FAMILIES: Final[Mapping[str, Builder]] = MappingProxyType(
    {reader.family: reader.build for reader in READERS} | {ad.FAMILY: ad.build}
)
"""By family: how a policy is built from its configuration and its tensors."""


def config_bytes(config: Mapping[str, Any]) -> bytes:
    """Return a configuration as it is stored, the same bytes for the same values."""
    return json.dumps(dict(config), sort_keys=True).encode()


def identity(weights: bytes, config: bytes) -> str:
    """Return the id of a checkpoint: sha256 over weights and configuration, hex."""
    return hashlib.sha256(hashlib.sha256(weights).digest() + hashlib.sha256(config).digest()).hexdigest()


def build_policy(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Policy:
    """Return the policy of a configuration with these weights.

    Raises
    ------
    CheckpointUnreadableError
        The family is unknown, or its configuration or tensors are not what it expects.
    """
    values = dict(config)
    family = values.pop("family", None)
    builders = FAMILIES if family in FAMILIES else {reader.family: reader.build for reader in readers()}
    if family not in builders:
        raise CheckpointUnreadableError(f"expected a family of {sorted(builders)}, got {family!r}")
    try:
        policy = builders[family](values, tensors)
    except (TypeError, RuntimeError) as error:
        raise CheckpointUnreadableError(f"not a policy of the family {family}: {error}") from error
    return policy if family in FAMILIES else own_tensors(policy)


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
    return build_policy(config, tensors).to(device)


def load_tensors(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a registered checkpoint, under the names of the file they came from."""
    return _verified(folder)[0]


def _verified(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what a folder holds, from the very bytes whose hash was checked."""
    try:
        weights, config = (folder / WEIGHTS).read_bytes(), (folder / CONFIG).read_bytes()
        named = str(json.loads((folder / ENTRY).read_bytes())["id"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointUnreadableError(f"checkpoint {folder.name}: {error}") from error
    if identity(weights, config) != named:
        raise CheckpointChangedError(f"the bytes of checkpoint {named[:12]} are not those that were registered")
    try:
        return load(weights), json.loads(config)
    except (SafetensorError, ValueError) as error:
        raise CheckpointUnreadableError(f"checkpoint {folder.name}: {error}") from error
