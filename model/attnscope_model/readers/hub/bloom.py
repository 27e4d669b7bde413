"""Reader of BLOOM language models of the Transformers library that act by a declared vocabulary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from attnscope_model.families.hub_bloom import FAMILY, HubBloomConfig, HubBloomPolicy
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
from attnscope_model.readers.shapes import shape


class HubBloomReader(HubReader):
    """Reads BLOOM language models."""

    family = FAMILY
    label = "Bloom"
    model_type = "bloom"
    heads_key = "n_head"
    signature = frozenset({"transformer.word_embeddings.weight", "transformer.word_embeddings_layernorm.weight"})
    layer = re.compile(r"transformer\.h\.(\d{1,6})\.self_attention\.query_key_value\.weight")
    renames: ClassVar[tuple[tuple[str, str], ...]] = (
        ("transformer.h.", "blocks."),
        (".input_layernorm.", ".norm1."),
        (".post_attention_layernorm.", ".norm2."),
        (".self_attention.query_key_value.", ".in_proj."),
        (".self_attention.dense.", ".out_proj."),
        (".mlp.dense_h_to_4h.", ".linear1."),
        (".mlp.dense_4h_to_h.", ".linear2."),
        ("transformer.ln_f.", "final_norm."),
        ("transformer.word_embeddings_layernorm.", "embedding_norm."),
        ("transformer.word_embeddings.", "embedding."),
        ("lm_head.", "head."),
    )

    def kept(self, file: ParsedFile) -> dict[str, Tensor]:
        """Return the tensors without a second copy of a tied head."""
        return tied_head(file, "transformer.word_embeddings.weight")

    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration from shapes, answers and the folder's files."""
        config, tensors = self._config(file), file.tensors
        entries, width = shape(tensors, "transformer.word_embeddings.weight", 2)
        inner, _ = shape(tensors, "transformer.h.0.mlp.dense_h_to_4h.weight", 2)
        words = vocabulary_of(config, entries, answers["preset"])
        sizes = self.stack_sizes(
            file, answers, width=width, feedforward=inner, actions=words.actions, vocabulary=(entries, MAX_IDS)
        )
        context = checked_context(answers["context_length"], words)
        del sizes["actions"]
        return {
            **sizes,
            "context_length": context,
            "vocabulary": entries,
            "epsilon": config["layer_norm_epsilon"],
            "tied": bool(config["tie_word_embeddings"]),
            "words": stored_words(words),
            "said": self.said(file),
        }

    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what a configuration says where it says the truth."""
        return {"hidden_size": values["width"], "vocab_size": values["vocabulary"], "n_layer": values["layers"]}

    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""
        own = {name: value for name, value in values.items() if name not in ("said", "words")}
        return HubBloomPolicy(HubBloomConfig(words=built_words(values["words"]), **own))

    def arranged(self, own_name: str, tensor: Tensor, config: Mapping[str, Any]) -> Tensor:
        """Return a tensor as the policy holds it: queries, keys and values apart, which the file has head by head."""
        if ".in_proj." not in own_name:
            return super().arranged(own_name, tensor, config)
        by_head = tensor.reshape(config["heads"], 3, -1, *tensor.shape[1:])
        return by_head.transpose(0, 1).flatten(0, 2).contiguous()
