"""Reader of the AD reference's ``ckpt-*.pt``: ``step``, ``config``, ``model`` and what training needed besides.

Shapes tell everything but the number of heads (in the config) and the mask, which no file of this family holds and no
behaviour shows: its user states it. The configuration's device is ignored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.reference import FAMILY, ReferenceConfig

PRESET: Final = "darkroom-reference"
"""Environment preset bound to the family."""

HINT: Final = (
    "the mask is not stored in this family's files: the repository's early revision (6c83913: d 32, n_transit 160) "
    "attends without one, its later head (d 64, n_transit 240) is causal; both read the same tensors, so this file has"
    " d {width} and n_transit {context} but only its user knows"
)
"""Printed, never acted on."""

MAX_TOKENS: Final = 8192
MAX_WIDTH: Final = 4096
MAX_LAYERS: Final = 64
"""Bounds of what is built from a file."""

_LAYER: Final = re.compile(r"transformer_encoder\.layers\.(\d+)\.")


def recognises(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether a state dict is of this family."""
    return {"pos_embedding", "embed_query_state.weight", "pred_action.weight"} <= tensors.keys() and any(
        map(_LAYER.match, tensors)
    )


def read_config(tensors: Mapping[str, Tensor], config: Mapping[str, Any], *, causal: bool) -> ReferenceConfig:
    """Return the policy's configuration.

    Raises
    ------
    CheckpointUnreadableError
        Tensors are missing, too many, or have shapes that do not fit together.
    """
    positions = tensors["pos_embedding"]
    if positions.ndim != 3 or positions.shape[0] != 1:  # noqa: PLR2004 - [1, token, width]
        raise CheckpointUnreadableError(f"pos_embedding: expected [1, token, width], got {list(positions.shape)}")
    _, context, width = positions.shape
    layers = 1 + max(int(found[1]) for found in map(_LAYER.match, tensors) if found)
    if not (1 < context <= MAX_TOKENS and 0 < width <= MAX_WIDTH and layers <= MAX_LAYERS):
        raise CheckpointUnreadableError(f"{layers} layers, width {width}, {context} tokens: larger than is read here")
    heads = config.get("tf_n_head")
    if not isinstance(heads, int) or not 1 <= heads <= width or width % heads:
        raise CheckpointUnreadableError(f"config tf_n_head: expected a divisor of the width {width}, got {heads!r}")
    first = tensors.get("transformer_encoder.layers.0.linear1.weight")
    actions, cells = tensors["pred_action.weight"].shape[0], tensors["embed_query_state.weight"].shape[0]
    if first is None or math.isqrt(cells) ** 2 != cells:
        raise CheckpointUnreadableError("expected a feed-forward in layer 0 and a square number of query cells")
    read = ReferenceConfig(
        width=width,
        layers=layers,
        heads=heads,
        context_length=context,
        feedforward=first.shape[0],
        grid_size=math.isqrt(cells),
        actions=actions,
        causal=causal,
    )
    _check(tensors, expected_shapes(read))
    return read


def expected_shapes(config: ReferenceConfig) -> dict[str, tuple[int, ...]]:
    """Return every tensor of a file, by name."""
    d, ff = config.width, config.feedforward
    shapes: dict[str, tuple[int, ...]] = {
        "pos_embedding": (1, config.context_length, d),
        "embed_context.weight": (d, 2 * 2 + config.actions + 1),
        "embed_context.bias": (d,),
        "embed_query_state.weight": (config.grid_size**2, d),
        "pred_action.weight": (config.actions, d),
        "pred_action.bias": (config.actions,),
    }
    for i in range(config.layers):
        layer = f"transformer_encoder.layers.{i}"
        shapes |= {
            f"{layer}.self_attn.in_proj_weight": (3 * d, d),
            f"{layer}.self_attn.in_proj_bias": (3 * d,),
            f"{layer}.self_attn.out_proj.weight": (d, d),
            f"{layer}.self_attn.out_proj.bias": (d,),
            f"{layer}.linear1.weight": (ff, d),
            f"{layer}.linear1.bias": (ff,),
            f"{layer}.linear2.weight": (d, ff),
            f"{layer}.linear2.bias": (d,),
        } | {f"{layer}.norm{n}.{part}": (d,) for n in (1, 2) for part in ("weight", "bias")}
    return shapes


def default_name(config: Mapping[str, Any], step: int | None) -> str:
    """Return a readable name, e.g. ``AD-darkroom-seed0@60000``."""
    env = re.sub(r"[^a-z0-9_]+", "-", str(config.get("env", "darkroom")).lower())[:40]
    seed = config.get("alg_seed", config.get("seed", 0))
    seed = seed if isinstance(seed, int) else 0
    return f"AD-{env}-seed{seed}@{'unknown' if step is None else step}"


def hint(tensors: Mapping[str, Tensor]) -> str:
    """Return what may help a user to state the mask."""
    _, context, width = tensors["pos_embedding"].shape
    return HINT.format(width=width, context=context)


def _check(tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> None:
    if missing := sorted(expected.keys() - tensors.keys()):
        raise CheckpointUnreadableError(f"tensors are missing: {', '.join(missing[:5])}")
    if unknown := sorted(tensors.keys() - expected.keys()):
        raise CheckpointUnreadableError(f"tensors that a {FAMILY} file does not have: {', '.join(unknown[:5])}")
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            got = list(tensors[name].shape)
            raise CheckpointUnreadableError(f"{name}: expected {list(shape)}, got {got}")
