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
}
"""A file of every family and variant, by name."""
