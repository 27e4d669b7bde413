"""Reader of Llama language models of the Transformers library that act by a declared vocabulary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.families.hub_llama import FAMILY, HubLlamaConfig, HubLlamaPolicy
from attnscope_model.forward.policy import Policy
from attnscope_model.readers.base import ParsedFile
from attnscope_model.readers.hub.adapter import MAX_IDS
from attnscope_model.readers.hub.base import (
    HubReader,
    built_words,
    checked_context,
    stored_words,
    tied_head,
    vocabulary_of,
)
from attnscope_model.readers.hub.gpt2 import check_activation
from attnscope_model.readers.shapes import MAX_TOKENS, shape

_FREQUENCIES: Final = re.compile(r"model\.(layers\.\d{1,6}\.self_attn\.)?rotary_emb\.inv_freq")


class HubLlamaReader(HubReader):
    """Reads Llama language models."""

    family = FAMILY
    label = "Llama"
    model_type = "llama"
    heads_key = "num_attention_heads"
    signature = frozenset({"model.embed_tokens.weight", "model.norm.weight"})
    layer = re.compile(r"model\.layers\.(\d{1,6})\.self_attn\.q_proj\.weight")
    renames: ClassVar[tuple[tuple[str, str], ...]] = (
        ("model.layers.", "blocks."),
        (".input_layernorm.", ".norm1."),
        (".post_attention_layernorm.", ".norm2."),
        (".self_attn.q_proj.", ".queries."),
        (".self_attn.k_proj.", ".keys."),
        (".self_attn.v_proj.", ".values."),
        (".self_attn.o_proj.", ".joined."),
        (".mlp.gate_proj.", ".gate."),
        (".mlp.up_proj.", ".up."),
        (".mlp.down_proj.", ".down."),
        ("model.norm.", "final_norm."),
        ("model.embed_tokens.", "embedding."),
        ("lm_head.", "head."),
    )
    unused = _FREQUENCIES

    def kept(self, file: ParsedFile) -> dict[str, Tensor]:
        """Return the tensors without tables of frequencies, and without a second copy of a tied head."""
        kept = tied_head(file, "model.embed_tokens.weight")
        return {name: tensor for name, tensor in kept.items() if not _FREQUENCIES.fullmatch(name)}

    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration from shapes, answers and the folder's files."""
        config, tensors = self._config(file), file.tensors
        entries, width = shape(tensors, "model.embed_tokens.weight", 2)
        inner, _ = shape(tensors, "model.layers.0.mlp.gate_proj.weight", 2)
        words = vocabulary_of(config, entries, answers["preset"])
        sizes = self.stack_sizes(
            file, answers, width=width, feedforward=inner, actions=words.actions, vocabulary=(entries, MAX_IDS)
        )
        most = config.get("max_position_embeddings", MAX_TOKENS)
        context = checked_context(answers["context_length"], words, min(most, MAX_TOKENS))
        check_activation(config["hidden_act"])
        del sizes["actions"]
        return {
            **sizes,
            "key_heads": self._key_heads(config, width, sizes["heads"]),
            "context_length": context,
            "vocabulary": entries,
            "activation": config["hidden_act"],
            "epsilon": config["rms_norm_eps"],
            "base": config["rope_theta"],
            "attention_bias": bool(config["attention_bias"]),
            "mlp_bias": bool(config["mlp_bias"]),
            "tied": bool(config["tie_word_embeddings"]),
            "words": stored_words(words),
            "said": self.said(file),
        }

    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what a configuration says where it says the truth."""
        return {
            "hidden_size": values["width"],
            "vocab_size": values["vocabulary"],
            "num_hidden_layers": values["layers"],
            "intermediate_size": values["feedforward"],
        }

    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""
        own = {name: value for name, value in values.items() if name not in ("said", "words")}
        return HubLlamaPolicy(HubLlamaConfig(words=built_words(values["words"]), **own))

    def _key_heads(self, config: Mapping[str, Any], width: int, heads: int) -> int:
        """Return the heads of keys and values, after checking the size of a head."""
        size = width // heads
        if config.get("head_dim", size) != size or size % 2:
            raise CheckpointUnreadableError(
                f"head_dim: expected an even {width} / {heads}, got {config.get('head_dim', size)}: heads of another "
                "size than their share of the width are not computed here"
            )
        key_heads = config.get("num_key_value_heads", heads)
        if heads % key_heads:
            raise CheckpointUnreadableError(
                f"num_key_value_heads: expected a divisor of the heads {heads}, got {key_heads}"
            )
        return int(key_heads)
