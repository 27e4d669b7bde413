"""The common part of files that hold a compressor beside their policy: its names, its sizes, and pre-training apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError, StatementMissingError
from attnscope_model.readers.base import ParsedFile
from attnscope_model.readers.shapes import MAX_LAYERS, MAX_TOKENS, MAX_WIDTH, bounded, divisor, positive, shape

_STEM: Final = "compression_transformer."
COMPRESSOR_QUERIES: Final = f"{_STEM}compress_queries"
"""Name of the compressor's learnt queries, by which such files are told from those of plain policies."""

_LAYER: Final = re.compile(r"compression_transformer\.layers\.(\d{1,6})\.self_attn\.in_proj_weight")
_USUAL_HEADS: Final = 4
"""Heads of the compressor where a configuration names its latents and not its heads: the repositories' own fallback."""

RENAMES: Final = (
    (_STEM, "packing."),
    ("packing.final_norm.", "packing.closing_norm."),
    (".self_attn.in_proj_", ".self_joint."),
    (".self_attn.out_proj.", ".self_joined."),
    (".cross_attn.q_proj.", ".cross_query."),
    (".cross_attn.k_proj.", ".cross_key."),
    (".cross_attn.v_proj.", ".cross_value."),
    (".cross_attn.out_proj.", ".cross_joined."),
    (".self_attn_norm.", ".self_norm."),
    (".cross_attn_norm.", ".cross_norm."),
    (".ffn_norm.", ".inner_norm."),
    (".ffn.0.", ".widening."),
    (".ffn.3.", ".narrowing."),
    ("latent_type_embedding", "latent_type"),
)
"""Parts of the compressor's names and what they are called here, before those of the stack."""


def compressor_sizes(file: ParsedFile, width: int) -> dict[str, int]:
    """Return the compressor's sizes, within bounds.

    Raises
    ------
    CheckpointUnreadableError
        The file is of pre-training, or a size does not fit.
    StatementMissingError
        Nothing says how many heads the compressor has.
    """
    if "pretrain_timesteps" in file.config:
        raise CheckpointUnreadableError(
            "a file of pre-training: its compressor was trained to reconstruct histories and its action head was not "
            "trained at all, so it is no policy; add a ckpt-<step>.pt or best-model.pt of the same run"
        )
    _, latents, _ = shape(file.tensors, COMPRESSOR_QUERIES, 3)
    _, positions, _ = shape(file.tensors, f"{_STEM}context_pos_embedding", 3)
    numbers = [int(found[1]) for found in map(_LAYER.fullmatch, file.tensors) if found]
    layers = 1 + max(numbers, default=-1)
    inner, _ = shape(file.tensors, f"{_STEM}layers.0.ffn.0.weight", 2)
    bounded(latents=(latents, MAX_TOKENS), compressor_positions=(positions, MAX_TOKENS))
    bounded(layers=(layers, MAX_LAYERS), compressor_feed_forward=(inner, 4 * MAX_WIDTH))
    return {
        "latents": latents,
        "compressor_layers": layers,
        "compressor_heads": divisor(_heads(file), width),
        "compressor_feedforward": inner,
        "compressor_positions": positions,
    }


def check_room(context: int, latents: int, positions: int, most: int) -> None:
    """Refuse a context that latents fill, and compressions of more tokens than have positions.

    Parameters
    ----------
    context
        Slots of a full context.
    latents
        Latents of a compression.
    positions
        Positions of the compressor.
    most
        Tokens that a compression takes at most.
    """
    if latents > context - 2:
        raise CheckpointUnreadableError(
            f"expected fewer latents than a context has slots beside a transition and the query, got {latents} latents "
            f"and {context} slots"
        )
    if most > positions:
        raise CheckpointUnreadableError(
            f"expected positions for every token of a compression, got {positions} for {most} tokens"
        )


def compressor_config_sizes(values: Mapping[str, Any]) -> dict[str, int]:
    """Return what a configuration says of the compressor where it says the truth."""
    return {"n_compress_tokens": values["latents"], "compress_n_layers": values["compressor_layers"]}


def without_decoder(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without those of the decoder that reconstructs histories in training."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("reconstruction_decoder.")}


def _heads(file: ParsedFile) -> int:
    heads = positive(file.config, "compress_n_heads")
    if heads is not None:
        return heads
    if "n_compress_tokens" in file.config:
        return _USUAL_HEADS
    raise StatementMissingError(
        "state compress_n_heads, the compressor's heads, by --config: no tensor's shape says them"
    )
