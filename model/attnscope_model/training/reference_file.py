"""Writing a policy in the reference's own layout: ``ckpt-<step>.pt`` with step, config and model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attnscope_model.families.reference import ReferencePolicy
from attnscope_model.training.layout_file import write_layout_file


def write_reference_file(
    folder: Path, policy: ReferencePolicy, step: int, config: Mapping[str, Any], tasks: Mapping[str, Sequence[int]]
) -> Path:
    """Write the file and return its path.

    Parameters
    ----------
    config
        What the layout's configuration has beyond the policy's shape; plain values.
    tasks
        Indices of train, validation and held-out tasks, stored beside the layout's own keys for those who look; its
        readers, ours among them, pass over them.
    """
    shape = policy.config
    stored = {
        "dim_states": 2,
        "grid_size": shape.grid_size,
        "num_actions": shape.actions,
        "tf_n_embd": shape.width,
        "tf_n_layer": shape.layers,
        "tf_n_head": shape.heads,
        "tf_dim_feedforward": shape.feedforward,
        "n_transit": shape.context_length,
        **config,
    }
    model = {_file_name(name): tensor for name, tensor in policy.state_dict().items()}
    return write_layout_file(folder, step, stored, model, tasks)


def _file_name(name: str) -> str:
    """Return the layout's name of a weight; the reverse of what its reader does."""
    if not name.startswith("encoder."):
        return name
    _, layer, *rest = name.split(".")
    inner = ".".join(rest).replace("in_proj.", "self_attn.in_proj_").replace("out_proj.", "self_attn.out_proj.")
    return f"transformer_encoder.layers.{layer}.{inner}"
