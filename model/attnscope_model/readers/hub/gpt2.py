"""Reader of GPT-2 language models of the Transformers library that act by a declared vocabulary."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.families.hub_gpt2 import ACTIVATIONS, FAMILY, HubGpt2Config, HubGpt2Policy
from attnscope_model.forward.policy import Policy
from attnscope_model.readers.base import ParsedFile
from attnscope_model.readers.gpt2_blocks import BLOCK_NAMES, CONV1D, is_mask
from attnscope_model.readers.hub.adapter import MAX_IDS
from attnscope_model.readers.hub.base import (
    HubReader,
    built_words,
    checked_context,
    stored_words,
    tied_head,
    vocabulary_of,
)
from attnscope_model.readers.shapes import MAX_TOKENS, shape


class HubGpt2Reader(HubReader):
    """Reads GPT-2 language models."""

    family = FAMILY
    label = "GPT2"
    model_type = "gpt2"
    heads_key = "n_head"
    signature = frozenset({"transformer.wte.weight", "transformer.wpe.weight", "transformer.ln_f.weight"})
    layer = re.compile(r"transformer\.h\.(\d{1,6})\.attn\.c_attn\.weight")
    renames: ClassVar[tuple[tuple[str, str], ...]] = (
        ("transformer.h.", "blocks."),
        *BLOCK_NAMES,
        ("transformer.ln_f.", "final_norm."),
        ("transformer.wpe.weight", "positions"),
        ("transformer.wte.", "embedding."),
        ("lm_head.", "head."),
    )
    transposed = CONV1D

    def kept(self, file: ParsedFile) -> dict[str, Tensor]:
        """Return the tensors without causal masks, and without a second copy of a tied head."""
        kept = tied_head(file, "transformer.wte.weight")
        return {name: tensor for name, tensor in kept.items() if not is_mask(name, tensor)}

    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration from shapes, answers and the folder's files."""
        config, tensors = self._config(file), file.tensors
        entries, width = shape(tensors, "transformer.wte.weight", 2)
        positions, _ = shape(tensors, "transformer.wpe.weight", 2)
        _, inner = shape(tensors, "transformer.h.0.mlp.c_fc.weight", 2)
        words = vocabulary_of(config, entries, answers["preset"])
        sizes = self.stack_sizes(
            file, answers, width=width, feedforward=inner, actions=words.actions, vocabulary=(entries, MAX_IDS)
        )
        context = checked_context(answers["context_length"], words, min(positions, MAX_TOKENS))
        check_activation(config["activation_function"])
        del sizes["actions"]
        return {
            **sizes,
            "context_length": context,
            "vocabulary": entries,
            "positions": positions,
            "activation": config["activation_function"],
            "epsilon": config["layer_norm_epsilon"],
            "tied": bool(config["tie_word_embeddings"]),
            "words": stored_words(words),
            "said": self.said(file),
        }

    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what a configuration says where it says the truth."""
        own = {"n_embd": values["width"], "vocab_size": values["vocabulary"], "n_positions": values["positions"]}
        return own | {"n_layer": values["layers"], "n_inner": values["feedforward"]}

    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""
        own = {name: value for name, value in values.items() if name not in ("said", "words")}
        return HubGpt2Policy(HubGpt2Config(words=built_words(values["words"]), **own))

    def arranged(self, own_name: str, tensor: Tensor, config: Mapping[str, Any]) -> Tensor:
        """Return a tensor as the policy holds it."""
        return scaled_queries(own_name, super().arranged(own_name, tensor, config), config)


def check_activation(word: str) -> None:
    """Refuse an activation that is not computed here."""
    if word not in ACTIVATIONS:
        raise CheckpointUnreadableError(f"expected an activation of {', '.join(ACTIVATIONS)}, got {word!r}")


def scaled_queries(own_name: str, tensor: Tensor, config: Mapping[str, Any]) -> Tensor:
    """Return a block's stacked projections with the configuration's scale of scores in the queries.

    Attention here always divides scores by the root of a head's size. A policy that does not, or that divides by its
    layer's number too, has that in its queries' weights instead.
    """
    if ".in_proj." not in own_name:
        return tensor
    width, heads, said = config["width"], config["heads"], config["said"]
    factor = 1.0 if said["scale_attn_weights"] else math.sqrt(width // heads)
    if said["scale_attn_by_inverse_layer_idx"]:
        factor /= int(own_name.split(".")[1]) + 1
    return tensor if factor == 1 else torch.cat([tensor[:width] * factor, tensor[width:]])
