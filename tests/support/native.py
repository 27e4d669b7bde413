"""Small random policies of the native family, registered without training."""

from __future__ import annotations

import torch
from safetensors.torch import save
from torch import nn

from attnscope_model.checkpoints.conversion import write_entry
from attnscope_model.checkpoints.native import CONFIG, WEIGHTS, config_bytes, identity
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.families.ad import ADConfig, ADPolicy, stored_config
from attnscope_model.training.trainer import initialise


def register_native(
    registry: CheckpointRegistry, name: str, positions: str, *, layers: int = 2, heads: int = 2, clock_steps: int = 0
) -> None:
    """Register a small random native policy; what its entry says besides is the causal reference checkpoint's."""
    sizes = {"width": 16, "layers": layers, "heads": heads, "feedforward": 32}
    config = ADConfig((9, 9), 5, 24, positions, **sizes, clock_steps=clock_steps, clock_episodes=3 * bool(clock_steps))
    policy = ADPolicy(config)
    initialise(policy, seed=1)
    if positions == "relative":  # a table of zeros would change nothing
        nn.init.normal_(policy.get_parameter("distances.table"), generator=torch.Generator().manual_seed(4))
    weights, stored = save(dict(policy.state_dict())), config_bytes(stored_config(config))
    folder = registry.root / identity(weights, stored)
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(weights)
    (folder / CONFIG).write_bytes(stored)
    own = {"id": folder.name, "name": name, "policy": policy.description}
    write_entry(folder, registry.get("reference-causal").model_copy(update=own))
