"""Readers of policies that pack their older history themselves: CCCAD's CompressedAD and RAD_dark's RAD."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from torch import Tensor

from attnscope_model.families.compressing import CAD_FAMILY, RAD_FAMILY, CadPolicy, RadPackingPolicy
from attnscope_model.families.packing import PackingConfig
from attnscope_model.forward.policy import Policy
from attnscope_model.readers.base import Answer, ParsedFile
from attnscope_model.readers.cccad import said_by
from attnscope_model.readers.gpt2 import Gpt2Reader, said_by_rad, stack_renames
from attnscope_model.readers.mapped import MappedReader
from attnscope_model.readers.packing import (
    COMPRESSOR_QUERIES,
    RENAMES,
    check_room,
    compressor_config_sizes,
    compressor_sizes,
    without_decoder,
)
from attnscope_model.readers.presets import check_preset
from attnscope_model.readers.shapes import MAX_TOKENS, lineage_sizes, shape, side

_PER_TRANSITION: Final = 3
"""Tokens of a transition in RAD."""


class CadReader(MappedReader):
    """Reads CCCAD's CompressedAD."""

    family = CAD_FAMILY
    label = "CAD"
    presets = ("darkroom-reference", "key-to-door")
    environments: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"darkroom": "darkroom-reference", "dark_key_to_door": "key-to-door"}
    )
    facts: ClassVar[Mapping[str, Answer]] = MappingProxyType({"causal": True})
    signature = frozenset({"ad_transformer.pos_embedding", "embed_query_state.weight", COMPRESSOR_QUERIES})
    layer = re.compile(r"ad_transformer\.blocks\.(\d{1,6})\.attn\.qkv_proj\.weight")
    renames: ClassVar[tuple[tuple[str, str], ...]] = (
        *RENAMES,
        ("ad_transformer.blocks.", "blocks."),
        (".ln1.", ".norm1."),
        (".ln2.", ".norm2."),
        (".attn.qkv_proj.", ".in_proj."),
        (".attn.out_proj.", ".out_proj."),
        (".mlp.fc1.", ".linear1."),
        (".mlp.fc2.", ".linear2."),
        ("ad_transformer.ln_f.", "final_norm."),
        ("ad_transformer.pos_embedding", "positions"),
        ("pred_action.", "head."),
    )

    def kept(self, file: ParsedFile) -> dict[str, Tensor]:
        """Return the tensors of policy and compressor."""
        return without_decoder(super().kept(file))

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return the context length from the position table, heads and environment from the configuration."""
        return said_by(file, self.environments, "ad_transformer.pos_embedding")

    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration from shapes and answers."""
        _, context, width = shape(file.tensors, "ad_transformer.pos_embedding", 3)
        cells, _ = shape(file.tensors, "embed_query_state.weight", 2)
        actions, _ = shape(file.tensors, "pred_action.weight", 2)
        inner, _ = shape(file.tensors, "ad_transformer.blocks.0.mlp.fc1.weight", 2)
        transitions = (context - 1, MAX_TOKENS)
        sizes = self.stack_sizes(file, answers, width=width, feedforward=inner, actions=actions, n_transit=transitions)
        own = compressor_sizes(file, width)
        check_room(context, own["latents"], own["compressor_positions"], most=context - 1)
        check_preset(answers["preset"], file.config, {"grid_size": side(cells), "num_actions": actions})
        return {**sizes, "context_length": context, "grid_size": side(cells), **own}

    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what a configuration says where it says the truth; its ``tf_n_inner`` is read by nobody."""
        sizes = lineage_sizes(values["width"], values["layers"])
        return {"n_transit": values["context_length"], **sizes, **compressor_config_sizes(values)}

    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""
        return CadPolicy(PackingConfig(**values))

    def hint(self, file: ParsedFile) -> str:  # noqa: ARG002 - the same for every file
        """Return where the family keeps what its tensors do not say."""
        return (
            "the repository keeps heads (tf_n_head, compress_n_heads) and environment (env) in the checkpoint's "
            "config; its weights do not say by which revision of its evaluation they were judged"
        )


class RadPackingReader(Gpt2Reader):
    """Reads RAD_dark's RAD."""

    family = RAD_FAMILY
    label = "RAD"
    presets = ("darkroom-reference",)
    environments: ClassVar[Mapping[str, str]] = MappingProxyType({"darkroom": "darkroom-reference"})
    facts: ClassVar[Mapping[str, Answer]] = MappingProxyType({"causal": True, "preset": "darkroom-reference"})
    signature = frozenset({"transformer_model.wpe.weight", "embed_reward.weight", COMPRESSOR_QUERIES})
    layer = re.compile(r"transformer_model\.h\.(\d{1,6})\.attn\.c_attn\.weight")
    renames: ClassVar[tuple[tuple[str, str], ...]] = (
        *RENAMES,
        *stack_renames("transformer_model"),
        ("pred_action.", "head."),
    )
    unused = re.compile(r"transformer_model\.wte\.weight")

    def kept(self, file: ParsedFile) -> dict[str, Tensor]:
        """Return the tensors of policy and compressor."""
        return without_decoder(super().kept(file))

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return the context length from the position table, the heads from the configuration."""
        return said_by_rad(file, self.environments)

    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration from shapes and answers."""
        context, width = shape(file.tensors, "transformer_model.wpe.weight", 2)
        cells, _ = shape(file.tensors, "embed_state.weight", 2)
        actions, _ = shape(file.tensors, "embed_action.weight", 2)
        _, inner = shape(file.tensors, "transformer_model.h.0.mlp.c_fc.weight", 2)
        tokens = (context - _PER_TRANSITION, MAX_TOKENS)
        sizes = self.stack_sizes(file, answers, width=width, feedforward=inner, actions=actions, tokens=tokens)
        own = compressor_sizes(file, width)
        check_room(context, own["latents"], own["compressor_positions"], most=context - 1 + _PER_TRANSITION)
        check_preset(answers["preset"], file.config, {"grid_size": side(cells), "num_actions": actions})
        return {**sizes, "context_length": context, "grid_size": side(cells), **own}

    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what a configuration says where it says the truth."""
        sizes = lineage_sizes(values["width"], values["layers"])
        stated = {"rad_max_seq_length": values["context_length"], "tf_n_inner": values["feedforward"]}
        return {**stated, **sizes, **compressor_config_sizes(values)}

    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""
        return RadPackingPolicy(PackingConfig(**values))

    def hint(self, file: ParsedFile) -> str:  # noqa: ARG002 - the same for every file
        """Return where the family keeps what its tensors do not say."""
        return "the repository keeps the heads (tf_n_head, compress_n_heads) in the checkpoint's config"
