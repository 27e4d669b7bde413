"""Checkpoint files of the families that pack their older history, with random weights, as their trainers write them."""

from __future__ import annotations

import torch

from forwards.layouts import CONFIG, INNER, LAYERS, WIDTH, Layout, Weights, _gpt2, _transitions

LATENTS = 3
POSITIONS = 40
"""Positions of the compressor."""


def _compressor(w: Weights, inner: int) -> None:
    w.add("latent_type_embedding", 1, 1, WIDTH, scale=0.5)
    stem = "compression_transformer"
    w.add(f"{stem}.compress_queries", 1, LATENTS, WIDTH, scale=1.0)
    w.add(f"{stem}.context_pos_embedding", 1, POSITIONS, WIDTH, scale=0.7)
    for i in range(2):
        p = f"{stem}.layers.{i}."
        w.add(p + "self_attn.in_proj_weight", 3 * WIDTH, WIDTH)
        w.add(p + "self_attn.in_proj_bias", 3 * WIDTH, scale=0.2)
        w.linear(p + "self_attn.out_proj", WIDTH, WIDTH)
        for part in "qkv":
            w.linear(f"{p}cross_attn.{part}_proj", WIDTH, WIDTH)
        w.linear(p + "cross_attn.out_proj", WIDTH, WIDTH)
        for norm in ("self_attn_norm", "cross_attn_norm", "ffn_norm"):
            w.norm(p + norm)
        w.linear(p + "ffn.0", inner, WIDTH)
        w.linear(p + "ffn.3", WIDTH, inner)
    w.norm(f"{stem}.final_norm")


def cad() -> dict[str, torch.Tensor]:
    """Return a CompressedAD of 12 slots, with the decoder of its training."""
    w = Weights(12)
    w.add("ad_transformer.pos_embedding", 1, 12, WIDTH, scale=0.7)
    for i in range(LAYERS):
        p = f"ad_transformer.blocks.{i}."
        w.norm(p + "ln1")
        w.norm(p + "ln2")
        w.linear(p + "attn.qkv_proj", 3 * WIDTH, WIDTH)
        w.linear(p + "attn.out_proj", WIDTH, WIDTH)
        w.linear(p + "mlp.fc1", INNER, WIDTH)
        w.linear(p + "mlp.fc2", WIDTH, INNER)
    w.norm("ad_transformer.ln_f")
    _transitions(w)
    w.linear("pred_action", 5, WIDTH)
    _compressor(w, INNER)
    w.add("reconstruction_decoder.position_queries", 1, 8, WIDTH)
    return w.tensors


def rad_packing() -> dict[str, torch.Tensor]:
    """Return a RAD of 20 slots."""
    w = _gpt2("transformer_model", 20, 13)
    w.add("embed_state.weight", 81, WIDTH, scale=1.0)
    w.add("embed_action.weight", 5, WIDTH, scale=1.0)
    w.linear("embed_reward", WIDTH, 1)
    w.linear("pred_action", 5, WIDTH)
    _compressor(w, 48)
    return w.tensors


COMPRESSOR = {"n_compress_tokens": LATENTS, "compress_n_layers": 2, "compress_n_heads": 2}
PACKING = {
    "cad": Layout("cccad-cad", cad, CONFIG | COMPRESSOR | {"n_transit": 12}),
    "rad-packing": Layout("rad-dark-rad", rad_packing, CONFIG | COMPRESSOR | {"rad_max_seq_length": 20}),
}
"""A file of every family that packs its older history, by name."""
