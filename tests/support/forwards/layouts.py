"""Checkpoint files of every family, with random weights, in the layout that their own trainers write."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

LAYERS = 3
WIDTH = 32
INNER = 128
CONFIG = {"env": "darkroom", "grid_size": 9, "num_actions": 5, "horizon": 20, "tf_n_head": 4, "alg_seed": 7}


class Weights:
    """Random tensors, scaled so that attention is far from uniform."""

    def __init__(self, seed: int = 0) -> None:
        self._random = torch.Generator().manual_seed(seed)
        self.tensors: dict[str, torch.Tensor] = {}

    def add(self, name: str, *shape: int, scale: float | None = None) -> None:
        """Add a tensor; scaled by its inputs where nothing is said."""
        scale = 1.4 / math.sqrt(shape[-1]) if scale is None else scale
        self.tensors[name] = torch.randn(*shape, generator=self._random) * scale

    def linear(self, name: str, outputs: int, inputs: int, *, bias: bool = True, conv1d: bool = False) -> None:
        """Add a linear layer's weight and bias."""
        shape = (inputs, outputs) if conv1d else (outputs, inputs)
        self.add(f"{name}.weight", *shape, scale=1.4 / math.sqrt(inputs))
        if bias:
            self.add(f"{name}.bias", outputs, scale=0.2)

    def norm(self, name: str, *, bias: bool = True) -> None:
        """Add a norm's weight, around 1, and bias."""
        self.tensors[f"{name}.weight"] = 1 + 0.2 * torch.randn(WIDTH, generator=self._random)
        if bias:
            self.add(f"{name}.bias", WIDTH, scale=0.2)


@dataclass(frozen=True)
class Layout:
    """One family's file."""

    family: str
    state: Callable[[], dict[str, torch.Tensor]]
    config: Mapping[str, Any]
    stated: Mapping[str, Any] = field(default_factory=dict)
    """The user's statements."""
    bare: bool = False
    """A state dict alone, its configuration beside it."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the independent forward besides the configuration."""

    @property
    def forward(self) -> str:
        """Name of the independent forward in `numpy_forwards`: that of the function that makes the tensors."""
        return self.state.__name__

    def content(self, prefix: str = "") -> dict[str, Any]:
        """Return what is saved."""
        model = {prefix + name: tensor for name, tensor in self.state().items()}
        if self.bare:
            return model
        parameters = [torch.zeros(3, requires_grad=True)]
        adam = torch.optim.AdamW(parameters, lr=0.01)
        parameters[0].grad = torch.ones(3)
        adam.step()
        config = {**self.config, "device": torch.device("cpu"), "tf_dropout": 0.1}
        schedule = {"lr_lambdas": [{}], "last_epoch": 5}
        return {"step": 60_000, "config": config, "model": model, "optimizer": adam.state_dict(), "lr_sched": schedule}


def _transitions(w: Weights) -> None:
    w.linear("embed_context", WIDTH, 10)
    w.tensors["embed_context.weight"][:, [0, 1, 8, 9]] *= 0.2  # raw coordinates reach 8
    w.add("embed_query_state.weight", 81, WIDTH, scale=1.0)


def reference() -> dict[str, torch.Tensor]:
    """Return an AD reference."""
    w = Weights()
    w.add("pos_embedding", 1, 24, WIDTH, scale=0.7)
    for i in range(LAYERS):
        p = f"transformer_encoder.layers.{i}."
        w.add(p + "self_attn.in_proj_weight", 3 * WIDTH, WIDTH)
        w.add(p + "self_attn.in_proj_bias", 3 * WIDTH, scale=0.2)
        w.linear(p + "self_attn.out_proj", WIDTH, WIDTH)
        w.linear(p + "linear1", INNER, WIDTH)
        w.linear(p + "linear2", WIDTH, INNER)
        w.norm(p + "norm1")
        w.norm(p + "norm2")
    _transitions(w)
    w.linear("pred_action", 5, WIDTH)
    return w.tensors


def _llama() -> Weights:
    w = Weights(1)
    for i in range(LAYERS):
        p = f"transformer.blocks.{i}."
        w.norm(p + "norm_1", bias=False)
        w.linear(p + "attn.attn", 3 * WIDTH, WIDTH)
        w.linear(p + "attn.proj", WIDTH, WIDTH)
        w.norm(p + "norm_2", bias=False)
        for part, shape in (("w1", (INNER, WIDTH)), ("w2", (INNER, WIDTH)), ("w3", (WIDTH, INNER))):
            w.linear(f"{p}mlp.swiglu.{part}", *shape, bias=False)
    return w


def dicp_ad(*, dynamics: bool = True) -> dict[str, torch.Tensor]:
    """Return a DICP AD, with what it learnt of dynamics beside it."""
    w = _llama()
    _transitions(w)
    w.linear("pred_action", 5, WIDTH)
    if dynamics:
        w.add("embed_query_action.weight", 5, WIDTH)
        w.linear("pred_reward", 2, WIDTH)
        w.linear("pred_next_state", 81, WIDTH)
    return w.tensors


def dicp_dpt() -> dict[str, torch.Tensor]:
    """Return a DICP DPT; its query embedding is never used."""
    w = _llama()
    _transitions(w)
    del w.tensors["embed_query_state.weight"]
    w.linear("embed_query_state", WIDTH, 2)
    w.add("embed_query_action.weight", 5, WIDTH)
    w.linear("pred_actions", 5, WIDTH)
    return w.tensors


def cccad() -> dict[str, torch.Tensor]:
    """Return a CCCAD AD."""
    w = Weights(2)
    w.add("transformer.pos_embedding", 1, 24, WIDTH, scale=0.7)
    for i in range(LAYERS):
        p = f"transformer.blocks.{i}."
        w.norm(p + "ln1")
        w.norm(p + "ln2")
        w.linear(p + "attn.qkv_proj", 3 * WIDTH, WIDTH)
        w.linear(p + "attn.out_proj", WIDTH, WIDTH)
        w.linear(p + "mlp.fc1", INNER, WIDTH)
        w.linear(p + "mlp.fc2", WIDTH, INNER)
    w.norm("transformer.ln_f")
    _transitions(w)
    w.linear("pred_action", 5, WIDTH)
    return w.tensors


def _gpt2(stem: str, positions: int, seed: int) -> Weights:
    w = Weights(seed)
    w.add(f"{stem}.wte.weight", 101, WIDTH)
    w.add(f"{stem}.wpe.weight", positions, WIDTH, scale=0.7)
    for i in range(LAYERS):
        p = f"{stem}.h.{i}."
        w.norm(p + "ln_1")
        w.norm(p + "ln_2")
        w.tensors[p + "attn.bias"] = torch.ones(positions, positions).tril().view(1, 1, positions, positions).bool()
        w.tensors[p + "attn.masked_bias"] = torch.tensor(-1e4)
        w.linear(p + "attn.c_attn", 3 * WIDTH, WIDTH, conv1d=True)
        w.linear(p + "attn.c_proj", WIDTH, WIDTH, conv1d=True)
        w.linear(p + "mlp.c_fc", INNER, WIDTH, conv1d=True)
        w.linear(p + "mlp.c_proj", WIDTH, INNER, conv1d=True)
    w.norm(f"{stem}.ln_f")
    return w


def rad() -> dict[str, torch.Tensor]:
    """Return a RAD_dark AD of 8 steps."""
    w = _gpt2("transformer_model", 22, 3)
    w.add("embed_state.weight", 81, WIDTH, scale=1.0)
    w.add("embed_action.weight", 5, WIDTH, scale=1.0)
    w.linear("embed_reward", WIDTH, 1)
    w.linear("pred_action", 5, WIDTH)
    return w.tensors


def dpt() -> dict[str, torch.Tensor]:
    """Return a DPT of horizon 23."""
    w = _gpt2("transformer", 4 * 24, 4)
    w.linear("embed_transition", WIDTH, 10)
    w.tensors["embed_transition.weight"][:, [0, 1, 7, 8]] *= 0.2
    w.linear("pred_actions", 5, WIDTH)
    return w.tensors


def hub_gpt2() -> dict[str, torch.Tensor]:
    """Return a GPT-2 of the Transformers library, of 101 entries and 40 positions."""
    w = _gpt2("transformer", 40, 7)
    w.tensors["transformer.wte.weight"] *= math.sqrt(WIDTH) / 1.4
    return w.tensors


def hub_llama() -> dict[str, torch.Tensor]:
    """Return a Llama of the Transformers library, of 101 entries, two query heads to a key head."""
    w = Weights(8)
    w.add("model.embed_tokens.weight", 101, WIDTH, scale=1.0)
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        w.norm(p + "input_layernorm", bias=False)
        w.norm(p + "post_attention_layernorm", bias=False)
        for part, rows in (("q", WIDTH), ("k", WIDTH // 2), ("v", WIDTH // 2), ("o", WIDTH)):
            w.linear(f"{p}self_attn.{part}_proj", rows, WIDTH, bias=False)
        for part, shape in (("gate", (INNER, WIDTH)), ("up", (INNER, WIDTH)), ("down", (WIDTH, INNER))):
            w.linear(f"{p}mlp.{part}_proj", *shape, bias=False)
    w.norm("model.norm", bias=False)
    w.linear("lm_head", 101, WIDTH, bias=False)
    return w.tensors


def hub_bloom() -> dict[str, torch.Tensor]:
    """Return a BLOOM of the Transformers library, of 101 entries."""
    w = Weights(12)
    w.add("transformer.word_embeddings.weight", 101, WIDTH, scale=1.0)
    w.norm("transformer.word_embeddings_layernorm")
    for i in range(LAYERS):
        p = f"transformer.h.{i}."
        w.norm(p + "input_layernorm")
        w.norm(p + "post_attention_layernorm")
        w.linear(p + "self_attention.query_key_value", 3 * WIDTH, WIDTH)
        w.linear(p + "self_attention.dense", WIDTH, WIDTH)
        w.linear(p + "mlp.dense_h_to_4h", INNER, WIDTH)
        w.linear(p + "mlp.dense_4h_to_h", WIDTH, INNER)
    w.norm("transformer.ln_f")
    return w.tensors


def hub_decision() -> dict[str, torch.Tensor]:
    """Return a Decision Transformer of the Transformers library over two numbers, with all of its predictions."""
    w = _gpt2("encoder", 40, 11)
    w.linear("embed_return", WIDTH, 1)
    w.linear("embed_state", WIDTH, 2)
    w.linear("embed_action", WIDTH, 5)
    w.add("embed_timestep.weight", 30, WIDTH, scale=1.0)
    w.norm("embed_ln")
    for part, rows in (("action.0", 5), ("state", 2), ("return", 1)):
        w.linear(f"predict_{part}", rows, WIDTH)
    return w.tensors


def trxl() -> dict[str, torch.Tensor]:
    """Return a Transformer-XL of cleanrl over two numbers, with its value head."""
    w, size = Weights(9), WIDTH // 4
    w.linear("encoder", WIDTH, 2)
    w.tensors["transformer.pos_embedding.inv_freqs"] = torch.ones(WIDTH // 2)
    for i in range(LAYERS):
        p = f"transformer.transformer_layers.{i}."
        for part in ("values", "keys", "queries"):
            w.add(f"{p}attention.{part}.weight", size, size, scale=1.0)
        w.linear(p + "attention.fc_out", WIDTH, WIDTH)
        for part in ("layer_norm_q", "norm_kv", "layer_norm_attn"):
            w.norm(p + part)
        w.linear(p + "fc_projection.0", WIDTH, WIDTH)
    w.linear("hidden_post_trxl.0", WIDTH, WIDTH)
    w.linear("actor_branches.0", 5, WIDTH)
    w.linear("critic", 1, WIDTH)
    return w.tensors


def amago() -> dict[str, torch.Tensor]:
    """Return an AMAGO policy over two numbers, with its critics."""
    w = Weights(10)
    w.add("tstep_encoder.in_norm.mu", 8, scale=0.2)
    w.tensors["tstep_encoder.in_norm.nu"] = torch.full((8,), 4.0)
    w.tensors["tstep_encoder.in_norm._t"] = torch.ones(1)
    for stem, inputs, hidden, outputs in (("tstep_encoder", 8, 20, WIDTH), ("actor", WIDTH, 22, 35)):
        w.linear(f"{stem}.base.in_layer", hidden, inputs)
        w.linear(f"{stem}.base.layers.0", hidden, hidden)
        w.linear(f"{stem}.base.out_layer", outputs, hidden)
    w.norm("tstep_encoder.out_norm.norm")
    w.linear("traj_encoder.tformer.inp", WIDTH, WIDTH)
    for i in range(LAYERS):
        p = f"traj_encoder.tformer.layers.{i}."
        w.tensors[p + "attention_layer.head_scaler"] = torch.full((1, 1, 4, 1), 1.2)
        shapes = {
            "attention_layer.qkv_projection": (3 * WIDTH, WIDTH),
            "attention_layer.out_projection": (WIDTH, WIDTH),
        }
        shapes |= {"ff1": (WIDTH, WIDTH), "ff2": (WIDTH, WIDTH)}
        for part, (rows, columns) in shapes.items():
            w.linear(p + part, rows, columns, bias="qkv" not in part)
            w.tensors[f"{p}{part}.gamma"] = torch.full((1,), 1.5)
            w.tensors[f"{p}{part}.u"] = torch.ones(rows) / math.sqrt(rows)
            weight = w.tensors[f"{p}{part}.weight"]
            v = weight.sum(0)
            w.tensors[f"{p}{part}.v"] = v / v.norm()
        for part in ("norm1", "norm2", "norm3", "norm4"):
            w.norm(f"{p}{part}.norm")
    w.norm("traj_encoder.tformer.norm.norm")
    for part in ("mu", "nu", "w", "b", "_t"):
        w.tensors[f"popart.{part}"] = torch.ones(7, 1)
    w.linear("critics.net.inp_layer", 10, WIDTH)
    return w.tensors


def _sinusoids(positions: int, size: int) -> torch.Tensor:
    angles = torch.arange(positions)[:, None] * 10_000.0 ** (-torch.arange(0, size, 2) / size)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[None]


def _steps(seed: int, table: str) -> Weights:
    w = Weights(seed)
    w.tensors[table] = _sinusoids(24, 16)
    w.add("state_emb.weight", 81, 16, scale=1.0)
    w.add("action_emb.weight", 5, 16, scale=1.0)
    w.linear("emb2hid", WIDTH, 16)
    for i in range(LAYERS):
        p = f"blocks.{i}."
        w.tensors[p + "causal_mask"] = ~torch.ones(24, 24).tril().bool()
        w.norm(p + "norm1")
        w.norm(p + "norm2")
        w.add(p + "attention.in_proj_weight", 3 * WIDTH, WIDTH)
        w.add(p + "attention.in_proj_bias", 3 * WIDTH, scale=0.2)
        w.linear(p + "attention.out_proj", WIDTH, WIDTH)
        w.linear(p + "mlp.0", INNER, WIDTH)
        w.linear(p + "mlp.2", WIDTH, INNER)
    w.linear("action_head", 5, WIDTH)
    return w


def ad_eps() -> dict[str, torch.Tensor]:
    """Return an AD-eps of 8 steps."""
    w = _steps(5, "pos_emb.pos_emb")
    w.linear("reward_emb", 16, 1)
    return w.tensors


def cinemere() -> dict[str, torch.Tensor]:
    """Return a cinemere AD of 8 steps, with a reward head."""
    w = _steps(6, "pos_enc.pos_embedding")
    w.add("reward_emb.weight", 2, 16, scale=1.0)
    w.linear("reward_head", 1, 2 * WIDTH)
    return w.tensors


EPS_CONFIG = {"env_name": "DarkRoom-v0", "num_heads": 4, "seq_len": 8, "train_seed": 10}
SIXTY = {"num_heads": 4, "seq_len": 8}
DECLARED = {
    "tokens": ["state", "action", "reward"],
    "observation": "cell",
    "grid_size": 9,
    "first_state": 0,
    "actions": 5,
    "first_action": 81,
    "rewards": 2,
    "first_reward": 86,
    "context_length": 22,
    "preset": "darkroom-reference",
}
"""The tokens of a language model: 81 cells, 5 actions and 2 rewards, in this order."""
GPT2_CONFIG = {"model_type": "gpt2", "n_embd": WIDTH, "n_layer": LAYERS, "n_head": 4, "n_positions": 40}
LLAMA_CONFIG = {
    "model_type": "llama",
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
}
BLOOM_CONFIG = {"model_type": "bloom", "hidden_size": WIDTH, "n_layer": LAYERS, "n_head": 4, "vocab_size": 101}

LAYOUTS = {
    "reference-causal": Layout("ad-reference", reference, CONFIG, {"causal": True}, facts={"causal": True}),
    "reference": Layout("ad-reference", reference, CONFIG, {"causal": False}, facts={"causal": False}),
    "dicp-ad": Layout("dicp-ad", dicp_ad, CONFIG | {"n_transit": 24}),
    "dicp-dpt": Layout("dicp-dpt", dicp_dpt, CONFIG | {"n_transit": 24}),
    "cccad": Layout("cccad-ad", cccad, CONFIG),
    "rad": Layout("rad-dark-ad", rad, CONFIG),
    "ad-eps": Layout("ad-eps", ad_eps, EPS_CONFIG, bare=True),
    "cinemere-post": Layout("cinemere-ad", cinemere, SIXTY | {"ln_placem": "postnorm"}, bare=True),
    "cinemere-pre": Layout("cinemere-ad", cinemere, SIXTY | {"ln_placem": "prenorm"}, bare=True),
    "dpt": Layout("dpt", dpt, {}, {"heads": 2, "preset": "darkroom-dpt"}, bare=True, facts={"heads": 2}),
    "hub-gpt2": Layout("hub-gpt2", hub_gpt2, GPT2_CONFIG | {"attnscope": DECLARED}, bare=True),
    "hub-llama": Layout("hub-llama", hub_llama, LLAMA_CONFIG | {"attnscope": DECLARED}, bare=True),
    "hub-bloom": Layout("hub-bloom", hub_bloom, BLOOM_CONFIG | {"attnscope": DECLARED}, bare=True),
}
"""A file of every family and variant, by name."""

TRXL_CONFIG = {
    "trxl_num_layers": LAYERS,
    "trxl_num_heads": 4,
    "trxl_dim": WIDTH,
    "trxl_memory_length": 12,
    "trxl_positional_encoding": "absolute",
    "max_episode_steps": 20,
}
AMAGO_CONFIG = {
    "TformerTrajEncoder.pos_emb": "fixed",
    "TformerTrajEncoder.activation": "leaky_relu",
    "FFTstepEncoder.activation": "leaky_relu",
    "FFTstepEncoder.normalize_inputs": True,
    "Actor.activation": "leaky_relu",
}
RETURNS = {
    "actions": 5,
    "steps": 6,
    "target_return": 10.0,
    "return_scale": 10.0,
    "state_mean": [4.0, 4.0],
    "state_std": [2.5, 2.5],
    "preset": "darkroom-reference",
}
DECISION_CONFIG = {"model_type": "decision_transformer", "hidden_size": WIDTH, "n_layer": LAYERS, "n_head": 4}
DECISION_CONFIG |= {"state_dim": 2, "act_dim": 5, "max_ep_len": 30, "activation_function": "relu", "attnscope": RETURNS}
REMEMBERING = {
    "decision": Layout("hub-decision-transformer", hub_decision, DECISION_CONFIG, bare=True),
    "trxl": Layout("trxl-cleanrl", trxl, TRXL_CONFIG, {"preset": "darkroom-reference"}),
    "amago": Layout("amago", amago, AMAGO_CONFIG, {"preset": "darkroom-reference", "context_length": 16}, bare=True),
}
"""Files of the families that decide out of a memory: their contexts are not made of tokens."""
