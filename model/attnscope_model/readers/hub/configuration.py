"""``config.json`` of a Hugging Face folder: allow-listed keys a model type, everything else refused.

A configuration file of that library can name code (``auto_map``, ``_attn_implementation``), a quantisation or another
architecture. A key that is not listed here is therefore refused, whatever it says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from attnscope_model.errors import CheckpointUnreadableError

Kind = type[int] | type[float] | type[bool] | type[str]


@dataclass(frozen=True)
class Read:
    """A key whose value changes the forward."""

    kind: Kind
    default: Any = None
    """The library's own value where the key is left out or null."""


@dataclass(frozen=True)
class ModelType:
    """The keys that one model type may have."""

    architecture: str
    """Class of the library that the weights belong to; named in a refusal, never imported."""
    read: Mapping[str, Read]
    fixed: Mapping[str, tuple[Any, ...]]
    """Keys that may only say one of these values, because another one is another forward."""
    ignored: frozenset[str]
    """Keys of training, of text generation and of bookkeeping, which no decision uses."""


MOST: Final = 1e12
"""Number beyond which no base or epsilon is meant."""

_EXPONENT: Final = re.compile(r"\d{1,20}e[-+]?\d{1,3}")

_BOOKKEEPING: Final = frozenset(
    {
        "_name_or_path", "architectures", "bos_token_id", "dtype", "eos_token_id", "initializer_range", "n_ctx",
        "output_attentions", "output_hidden_states", "pad_token_id", "task_specific_params", "torch_dtype",
        "transformers_version", "use_cache",
    }
)  # fmt: skip
_FIXED: Final[Mapping[str, tuple[Any, ...]]] = {
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "quantization_config": (None,),
    "auto_map": (None,),
}
_GPT2_READ: Final = {
    "n_layer": Read(int),
    "n_head": Read(int),
    "n_positions": Read(int, 1024),
    "n_inner": Read(int),
    "layer_norm_epsilon": Read(float, 1e-5),
    "scale_attn_weights": Read(bool, default=True),
    "scale_attn_by_inverse_layer_idx": Read(bool, default=False),
}
_GPT2_IGNORED: Final = frozenset(
    {
        "attn_pdrop", "embd_pdrop", "resid_pdrop", "reorder_and_upcast_attn", "summary_activation",
        "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
    }
)  # fmt: skip
_BLOOM_IGNORED: Final = frozenset(
    {
        "attention_dropout", "attention_softmax_in_fp32", "bias_dropout_fusion", "hidden_dropout",
        "masked_softmax_fusion", "pretraining_tp", "seq_length", "skip_bias_add", "skip_bias_add_qkv",
        "slow_but_exact", "unk_token_id",
    }
)  # fmt: skip

MODEL_TYPES: Final[Mapping[str, ModelType]] = MappingProxyType(
    {
        "gpt2": ModelType(
            "GPT2LMHeadModel",
            {
                **_GPT2_READ,
                "n_embd": Read(int),
                "vocab_size": Read(int),
                "activation_function": Read(str, "gelu_new"),
                "tie_word_embeddings": Read(bool, default=True),
            },
            _FIXED,
            _BOOKKEEPING | _GPT2_IGNORED,
        ),
        "llama": ModelType(
            "LlamaForCausalLM",
            {
                "hidden_size": Read(int),
                "intermediate_size": Read(int),
                "num_hidden_layers": Read(int),
                "num_attention_heads": Read(int),
                "num_key_value_heads": Read(int),
                "head_dim": Read(int),
                "max_position_embeddings": Read(int, 2048),
                "vocab_size": Read(int),
                "hidden_act": Read(str, "silu"),
                "rms_norm_eps": Read(float, 1e-6),
                "rope_theta": Read(float, 10_000.0),
                "attention_bias": Read(bool, default=False),
                "mlp_bias": Read(bool, default=False),
                "tie_word_embeddings": Read(bool, default=False),
            },
            {**_FIXED, "rope_scaling": (None,), "rope_type": (None, "default")},
            _BOOKKEEPING | {"attention_dropout", "pretraining_tp"},
        ),
        "bloom": ModelType(
            "BloomForCausalLM",
            {
                "hidden_size": Read(int),
                "n_layer": Read(int),
                "n_head": Read(int),
                "vocab_size": Read(int),
                "layer_norm_epsilon": Read(float, 1e-5),
                "tie_word_embeddings": Read(bool, default=True),
            },
            {**_FIXED, "apply_residual_connection_post_layernorm": (False,)},
            _BOOKKEEPING | _BLOOM_IGNORED,
        ),
        "decision_transformer": ModelType(
            "DecisionTransformerModel",
            {
                **_GPT2_READ,
                "hidden_size": Read(int),
                "state_dim": Read(int),
                "act_dim": Read(int),
                "max_ep_len": Read(int),
                "action_tanh": Read(bool, default=True),
                "activation_function": Read(str, "relu"),
            },
            _FIXED,
            _BOOKKEEPING | _GPT2_IGNORED | {"vocab_size", "tie_word_embeddings"},
        ),
    }
)
"""The model types that are read, by the word that a folder's configuration has for them."""


def configured(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the allow-listed values of a configuration, with the library's defaults filled in.

    Parameters
    ----------
    given
        The configuration as it was parsed, untrusted.
    name
        Its file, named in refusals.

    Raises
    ------
    CheckpointUnreadableError
        The model type is not read, or a key is unknown, of another kind, or says what is not computed here.
    """
    said = _flat(given, name)
    model_type = said.pop("model_type", None)
    known = MODEL_TYPES.get(model_type) if isinstance(model_type, str) else None
    if known is None:
        read = ", ".join(MODEL_TYPES)
        raise CheckpointUnreadableError(f"{name}: expected a model_type of {read}, got {str(model_type)[:80]!r}")
    if said.get("architectures") not in (None, [known.architecture]):
        got = str(said["architectures"])[:80]
        raise CheckpointUnreadableError(f"{name}: expected the architecture {known.architecture}, got {got}")
    if unknown := sorted(said.keys() - known.read.keys() - known.fixed.keys() - known.ignored):
        listed = ", ".join(str(key)[:80] for key in unknown[:5])
        raise CheckpointUnreadableError(
            f"{name}: unknown keys {listed}: each could change what the model computes; remove those that no decision "
            "depends on"
        )
    for key, allowed in known.fixed.items():
        if key in said and said[key] not in allowed:
            raise CheckpointUnreadableError(
                f"{name}: {key} says {str(said[key])[:80]!r}, and only {allowed[0]!r} is computed here"
            )
    values = {key: _value(said.get(key), read, f"{name}: {key}") for key, read in known.read.items()}
    return {"model_type": model_type} | {key: value for key, value in values.items() if value is not None}


def _flat(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration with the entries of ``rope_parameters`` beside the others, as older files have them."""
    said = dict(given)
    nested = said.pop("rope_parameters", None)
    if nested is None:
        return said
    if not isinstance(nested, dict) or nested.keys() - {"rope_theta", "rope_type"} or nested.keys() & said.keys():
        raise CheckpointUnreadableError(
            f"{name}: rope_parameters: expected rope_theta and rope_type alone, got {str(nested)[:80]}"
        )
    return said | nested


def _value(value: object, read: Read, where: str) -> int | float | str | None:
    """Return a value of the kind that its key has."""
    if value is None:
        default: int | float | str | None = read.default
        return default
    if read.kind is float and isinstance(value, str) and _EXPONENT.fullmatch(value):
        value = float(value)  # YAML takes a number without a point, such as 1e-05, for a text
    if read.kind is float and isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < MOST:
        return float(value)
    if read.kind is not float and type(value) is read.kind:
        if not isinstance(value, bool) and isinstance(value, int) and value < 1:
            raise CheckpointUnreadableError(f"{where}: expected a whole number from 1 on, got {value}")
        assert isinstance(value, int | str)  # noqa: S101 - of the key's kind
        return value[:80] if isinstance(value, str) else value
    raise CheckpointUnreadableError(f"{where}: expected {read.kind.__name__}, got {str(value)[:80]!r}")
