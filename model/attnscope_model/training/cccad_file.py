"""Writing CCCAD's AD, and CAD, which packs its history, in their own layout: ``ckpt-<step>.pt``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attnscope_model.families.cccad import CccadPolicy
from attnscope_model.families.compressing import CadPolicy
from attnscope_model.families.packing import PackingConfig
from attnscope_model.families.tokens import CellConfig
from attnscope_model.readers.cccad import CccadReader
from attnscope_model.readers.compressing import CadReader
from attnscope_model.training.layout_file import write_layout_file


def write_cccad_file(
    folder: Path,
    policy: CadPolicy | CccadPolicy,
    shape: PackingConfig | CellConfig,
    step: int,
    config: Mapping[str, Any],
    tasks: Mapping[str, Sequence[int]],
) -> Path:
    """Write the file and return its path.

    Parameters
    ----------
    shape
        Sizes of the policy, and of its compressor where it has one.
    config
        What the layout's configuration has beyond these sizes; plain values.
    tasks
        Indices of train, validation and held-out tasks, stored beside the layout's own keys.
    """
    stored = {
        "grid_size": shape.grid_size,
        "num_actions": shape.actions,
        "tf_n_embd": shape.width,
        "tf_n_layer": shape.layers,
        "tf_n_head": shape.heads,
        "tf_dim_feedforward": shape.feedforward,
        "n_transit": shape.context_length,
        **config,
    }
    if isinstance(shape, PackingConfig):
        stored |= {
            "n_compress_tokens": shape.latents,
            "compress_n_layers": shape.compressor_layers,
            "compress_n_heads": shape.compressor_heads,
        }
    renames = CadReader.renames if isinstance(policy, CadPolicy) else CccadReader.renames
    model = {_file_name(name, renames): tensor for name, tensor in policy.state_dict().items()}
    return write_layout_file(folder, step, stored, model, tasks)


def _file_name(name: str, renames: Sequence[tuple[str, str]]) -> str:
    """Return the layout's name of a weight; the reverse of what its reader does, last renaming first."""
    for theirs, ours in reversed(renames):
        name = name.replace(ours, theirs)
    return name
