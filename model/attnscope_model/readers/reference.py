"""Reader of the AD reference's ``ckpt-*.pt``: ``step``, ``config``, ``model`` and what training needed besides.

Shapes tell everything but the number of heads (in the config) and the mask, which no file of this family holds and no
behaviour shows: its user states it. The configuration's device and dropout are ignored, as the reference ignores them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, ClassVar, Final

from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.families.reference import FAMILY, ReferenceConfig, ReferencePolicy
from attnscope_model.forward.policy import Policy
from attnscope_model.readers.base import Answer, CheckpointReader, ParsedFile
from attnscope_model.readers.mapped import readable_name
from attnscope_model.readers.presets import check_preset, preset_of_env
from attnscope_model.readers.shapes import (
    MAX_ACTIONS,
    MAX_LAYERS,
    MAX_TOKENS,
    MAX_WIDTH,
    bounded,
    check_shapes,
    check_sizes,
    divisor,
    lineage_sizes,
    positive,
    shape,
)

PRESET: Final = "darkroom-reference"
"""Environment preset bound to the family."""

HINT: Final = (
    "files of this family do not store the mask and it cannot be detected: the repository's early revision (6c83913: "
    "d 32, n_transit 160) attends without one, its later head (d 64, n_transit 240) is causal; this file has d {width} "
    "and n_transit {context}, which proves neither. Heads (tf_n_head) and environment (env) are in its config"
)

_LAYER: Final = re.compile(r"transformer_encoder\.layers\.(\d{1,6})\.")
_DIMENSIONS: Final = {"pos_embedding": 3, "embed_query_state.weight": 2, "pred_action.weight": 2}


class ReferenceReader(CheckpointReader):
    """Reads the AD reference, causal or not."""

    family = FAMILY
    presets = (PRESET,)
    environments: ClassVar[Mapping[str, str]] = MappingProxyType({"darkroom": PRESET})

    def recognises(self, names: Collection[str]) -> bool:
        """Return whether the names are those of the family."""
        return set(names) >= _DIMENSIONS.keys() and any(map(_LAYER.match, names))

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return the context length from the position table, heads and environment from the configuration."""
        answers = {
            "heads": positive(file.config, "tf_n_head"),
            "context_length": shape(file.tensors, "pos_embedding", 3)[1],
            "preset": preset_of_env(file.config, self.environments),
        }
        return {name: answer for name, answer in answers.items() if answer is not None}

    def native_config(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration of the native format."""
        tensors = file.tensors
        _, context, width = shape(tensors, "pos_embedding", 3)
        cells, _ = shape(tensors, "embed_query_state.weight", 2)
        actions, _ = shape(tensors, "pred_action.weight", 2)
        layers = 1 + max(int(found[1]) for found in map(_LAYER.match, tensors) if found)
        inner = tensors.get("transformer_encoder.layers.0.linear1.bias")
        bounded(n_transit=(context, MAX_TOKENS), d=(width, MAX_WIDTH), layers=(layers, MAX_LAYERS))
        bounded(actions=(actions, MAX_ACTIONS))
        if context == 1 or inner is None or inner.ndim != 1 or math.isqrt(cells) ** 2 != cells:
            raise CheckpointUnreadableError(
                f"expected at least 2 tokens, a feed-forward bias in layer 0 and a square number of query cells, got "
                f"{context} tokens, {None if inner is None else list(inner.shape)} and {cells} cells"
            )
        config = ReferenceConfig(
            width=width,
            layers=layers,
            heads=divisor(answers["heads"], width),
            context_length=context,
            feedforward=inner.shape[0],
            grid_size=math.isqrt(cells),
            actions=actions,
            causal=answers["causal"],
        )
        check_shapes(tensors, _expected_shapes(config), FAMILY)
        sizes = {"n_transit": context, "tf_dim_feedforward": config.feedforward, **lineage_sizes(width, layers)}
        check_sizes(file.config, sizes)
        check_preset(answers["preset"], file.config, {"grid_size": config.grid_size, "num_actions": actions})
        return {"family": FAMILY, **asdict(config)}

    def build(self, config: dict[str, Any], tensors: Mapping[str, Tensor]) -> Policy:
        """Return the policy of a native configuration with these weights."""
        return ReferencePolicy.from_tensors(ReferenceConfig(**config), tensors)

    def default_name(self, file: ParsedFile) -> str:
        """Return a name from environment, seed of the source algorithm, and step."""
        return readable_name("AD", file)

    def hint(self, file: ParsedFile) -> str:
        """Return what the repository's two revisions used."""
        _, context, width = shape(file.tensors, "pos_embedding", 3)
        return HINT.format(width=width, context=context)


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
