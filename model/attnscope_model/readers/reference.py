"""Reader of the AD reference's ``ckpt-*.pt``: ``step``, ``config``, ``model`` and what training needed besides.

Shapes tell everything but the number of heads (in the config) and the mask, which no file of this family holds and no
behaviour shows: its user states it. The configuration's device and dropout are ignored, as the reference ignores them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, Final

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.readers.base import CheckpointReader, ParsedFile
from attnscope_model.reference import FAMILY, ReferenceConfig

PRESET: Final = "darkroom-reference"
"""Environment preset bound to the family."""

PRESET_CONFIG: Final[Mapping[str, object]] = {"env": "darkroom", "grid_size": 9, "num_actions": 5, "horizon": 20}
"""What the preset is, in the words of the family's configuration."""

HINT: Final = (
    "files of this family do not store the mask and it cannot be detected: the repository's early revision (6c83913: "
    "d 32, n_transit 160) attends without one, its later head (d 64, n_transit 240) is causal; this file has d {width} "
    "and n_transit {context}, which proves neither"
)

MAX_TOKENS: Final = 8192
MAX_WIDTH: Final = 4096
MAX_LAYERS: Final = 64
MAX_ACTIONS: Final = 4096
"""Bounds of what is built from a file."""

_LAYER: Final = re.compile(r"transformer_encoder\.layers\.(\d{1,6})\.")
_SIGNATURE: Final = frozenset(
    {"pos_embedding", "embed_context.weight", "embed_query_state.weight", "pred_action.weight"}
)
_DIMENSIONS: Final = {"pos_embedding": 3, "embed_query_state.weight": 2, "pred_action.weight": 2}


class ReferenceReader(CheckpointReader):
    """Reads the AD reference, causal or not."""

    family = FAMILY

    def recognises(self, names: Collection[str]) -> bool:
        """Return whether the names are those of the family."""
        return set(names) >= _DIMENSIONS.keys() and any(map(_LAYER.match, names))

    def causal(self, file: ParsedFile) -> None:
        """Return None: the user states it."""

    def native_config(self, file: ParsedFile, *, causal: bool) -> dict[str, Any]:
        """Return the configuration of the native format."""
        tensors = file.tensors
        for name, dimensions in _DIMENSIONS.items():
            if tensors[name].ndim != dimensions:
                raise CheckpointUnreadableError(
                    f"{name}: expected {dimensions} dimensions, got {list(tensors[name].shape)}"
                )
        _, context, width = tensors["pos_embedding"].shape
        actions, cells = tensors["pred_action.weight"].shape[0], tensors["embed_query_state.weight"].shape[0]
        layers = 1 + max(int(found[1]) for found in map(_LAYER.match, tensors) if found)
        inner = tensors.get("transformer_encoder.layers.0.linear1.bias")
        sizes = {"n_transit": (context, MAX_TOKENS), "d": (width, MAX_WIDTH), "layers": (layers, MAX_LAYERS)}
        for what, (size, most) in (sizes | {"actions": (actions, MAX_ACTIONS)}).items():
            if not 1 <= size <= most:
                raise CheckpointUnreadableError(f"expected {what} between 1 and {most}, got {size}")
        if context == 1 or inner is None or inner.ndim != 1 or math.isqrt(cells) ** 2 != cells:
            raise CheckpointUnreadableError(
                f"expected at least 2 tokens, a feed-forward bias in layer 0 and a square number of query cells, got "
                f"{context} tokens, {None if inner is None else list(inner.shape)} and {cells} cells"
            )
        config = ReferenceConfig(
            width=width,
            layers=layers,
            heads=_heads(file.config, width),
            context_length=context,
            feedforward=inner.shape[0],
            grid_size=math.isqrt(cells),
            actions=actions,
            causal=causal,
        )
        _check(file, _expected_shapes(config))
        return {"family": FAMILY, **asdict(config)}

    def preset(self, file: ParsedFile) -> str:
        """Return the reference's Darkroom, the only environment of the family that a preset describes."""
        cells, actions = (file.tensors[name].shape[0] for name in ("embed_query_state.weight", "pred_action.weight"))
        said = {"grid_size": math.isqrt(cells), "num_actions": actions}
        said |= {name: file.config[name] for name in PRESET_CONFIG if name in file.config}
        for name, value in said.items():
            if value != PRESET_CONFIG[name]:
                raise CheckpointUnreadableError(
                    f"trained with {name} {value!r}, but the preset {PRESET} has {PRESET_CONFIG[name]!r}: "
                    "no preset describes its environment"
                )
        return PRESET

    def tasks(self, file: ParsedFile) -> int:
        """Return the number of goal cells."""
        return int(file.tensors["embed_query_state.weight"].shape[0])

    def default_name(self, file: ParsedFile) -> str:
        """Return a name from environment, seed of the source algorithm, and step."""
        environment = re.sub(r"[^a-z0-9_]+", "-", str(file.config.get("env", "darkroom")).lower())[:40]
        seed = file.config.get("alg_seed", file.config.get("seed"))
        seed = seed if isinstance(seed, int) and not isinstance(seed, bool) else "unknown"
        return f"AD-{environment}-seed{seed}@{'unknown' if file.step is None else file.step}"

    def hint(self, file: ParsedFile) -> str:
        """Return what the repository's two revisions used."""
        _, context, width = file.tensors["pos_embedding"].shape
        return HINT.format(width=width, context=context)


def _heads(config: Mapping[str, Any], width: int) -> int:
    heads = config.get("tf_n_head")
    if not isinstance(heads, int) or isinstance(heads, bool) or not 1 <= heads <= width or width % heads:
        raise CheckpointUnreadableError(f"config tf_n_head: expected a divisor of the width {width}, got {heads!r}")
    return heads


def _expected_shapes(config: ReferenceConfig) -> dict[str, tuple[int, ...]]:
    """Return every tensor of a file, by name."""
    d, inner = config.width, config.feedforward
    shapes: dict[str, tuple[int, ...]] = {
        "pos_embedding": (1, config.context_length, d),
        "embed_context.weight": (d, 2 * 2 + config.actions + 1),
        "embed_context.bias": (d,),
        "embed_query_state.weight": (config.grid_size**2, d),
        "pred_action.weight": (config.actions, d),
        "pred_action.bias": (config.actions,),
    }
    layer_shapes: dict[str, tuple[int, ...]] = {
        "self_attn.in_proj_weight": (3 * d, d),
        "self_attn.in_proj_bias": (3 * d,),
        "self_attn.out_proj.weight": (d, d),
        "self_attn.out_proj.bias": (d,),
        "linear1.weight": (inner, d),
        "linear1.bias": (inner,),
        "linear2.weight": (d, inner),
        "linear2.bias": (d,),
    } | {f"norm{n}.{part}": (d,) for n in (1, 2) for part in ("weight", "bias")}
    for i in range(config.layers):
        shapes |= {f"transformer_encoder.layers.{i}.{name}": shape for name, shape in layer_shapes.items()}
    return shapes


def _check(file: ParsedFile, expected: Mapping[str, tuple[int, ...]]) -> None:
    tensors = file.tensors
    if missing := sorted(expected.keys() - tensors.keys()):
        raise CheckpointUnreadableError(f"tensors are missing: {', '.join(missing[:5])}")
    if unknown := sorted(tensors.keys() - expected.keys()):
        raise CheckpointUnreadableError(f"tensors that a file of {FAMILY} does not have: {', '.join(unknown[:5])}")
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape or not tensors[name].is_floating_point():
            got = f"{tensors[name].dtype} {list(tensors[name].shape)}"
            raise CheckpointUnreadableError(f"{name}: expected float {list(shape)}, got {got}")
