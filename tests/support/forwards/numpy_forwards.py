"""The families' forwards in NumPy float64, written from the facts of their layouts alone, not from `attnscope_model`.

Each takes a state dict in its file's own names (float64), a configuration, transitions and a query, and returns the
logits and every layer's whole map [layer, head, query, slot].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class History(NamedTuple):
    """Transitions, oldest first, and the cell that an action is asked for."""

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_states: np.ndarray
    query: np.ndarray

    def newest(self, held):
        """Return the same with the newest transitions alone."""
        first = len(self.actions) - held
        return History(*(part[first:] for part in self[:4]), self.query)


_ERF = np.vectorize(math.erf)


def gelu_erf(x):
    """Return x·Φ(x)."""
    return 0.5 * x * (1 + _ERF(x / math.sqrt(2)))


def gelu_new(x):
    """Return GPT-2's approximation of it."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softmax(x):
    """Return the softmax over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(x, weight, bias):
    """Return x normalised over its features, ε 1e-5."""
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


def rms_norm(x, weight):
    """Return x by the root of its mean square, ε 1e-5."""
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * weight


def attention(q, k, v, causal=True):
    """Return the attended values [token, width] and the weights [head, query, slot] of [head, token, size]."""
    scores = np.einsum("hqd,hkd->hqk", q, k) / math.sqrt(q.shape[-1])
    if causal:
        scores = np.where(np.tri(scores.shape[-1], dtype=bool), scores, -np.inf)
    weights = softmax(scores)
    out = np.einsum("hqk,hkd->qhd", weights, v)
    return out.reshape(out.shape[0], -1), weights


def heads_of(x, heads):
    """Return [token, width] as [head, token, size]."""
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


def blocks(x, weights, names, heads, *, norm="pre", gelu=gelu_erf, conv1d=False, causal=True):
    """Return the output and maps of layers of stacked q | k | v; `names` gives the tensors of layer i."""
    maps = []
    layer = 0
    while names["qkv"].format(layer) + ".weight" in weights or names["qkv"].format(layer) + "_weight" in weights:

        def linear(part, z, layer=layer):
            stem = names[part].format(layer)
            joint = "." if stem + ".weight" in weights else "_"
            weight, bias = weights[f"{stem}{joint}weight"], weights[f"{stem}{joint}bias"]
            return z @ (weight if conv1d else weight.T) + bias

        def normed(part, z, layer=layer):
            stem = names[part].format(layer)
            return layer_norm(z, weights[stem + ".weight"], weights[stem + ".bias"])

        q, k, v = (
            heads_of(z, heads) for z in np.split(linear("qkv", normed("norm1", x) if norm == "pre" else x), 3, 1)
        )
        attended, weights_of_layer = attention(q, k, v, causal)
        maps.append(weights_of_layer)
        x = x + linear("out", attended)
        x = x if norm == "pre" else normed("norm1", x)
        x = x + linear("down", gelu(linear("up", normed("norm2", x) if norm == "pre" else x)))
        x = x if norm == "pre" else normed("norm2", x)
        layer += 1
    return x, np.stack(maps)


def index(cells, side=9):
    """Return row · side + column."""
    return cells[..., 0] * side + cells[..., 1]


def one_hot(actions, count=5):
    """Return one row an action."""
    return np.eye(count)[actions]


def raw(h):
    """Return (s, one-hot a, r, s') of each transition."""
    return np.concatenate([h.states, one_hot(h.actions), h.rewards[:, None], h.next_states], 1).astype(np.float64)


def affine(weights, name, x):
    """Return a linear layer's output."""
    return x @ weights[name + ".weight"].T + weights[name + ".bias"]


def one_token_tokens(w, h):
    """Return a linear map of each transition, then the query cell's embedding."""
    return np.concatenate([affine(w, "embed_context", raw(h)), w["embed_query_state.weight"][index(h.query)][None]])


def reference(w, config, h):
    """AD reference: post-norm encoder, learned positions, no final norm, masked or not."""
    tokens = one_token_tokens(w, h)
    stem = "transformer_encoder.layers.{}."
    names = {
        "qkv": stem + "self_attn.in_proj",
        "out": stem + "self_attn.out_proj",
        "up": stem + "linear1",
        "down": stem + "linear2",
        "norm1": stem + "norm1",
        "norm2": stem + "norm2",
    }
    x = tokens + w["pos_embedding"][0, : len(tokens)]
    x, maps = blocks(x, w, names, config["tf_n_head"], norm="post", causal=config["causal"])
    return affine(w, "pred_action", x[-1]), maps


def cccad(w, config, h):
    """CCCAD: pre-norm, learned positions, a final norm."""
    tokens = one_token_tokens(w, h)
    stem = "transformer.blocks.{}."
    names = {
        "qkv": stem + "attn.qkv_proj",
        "out": stem + "attn.out_proj",
        "up": stem + "mlp.fc1",
        "down": stem + "mlp.fc2",
        "norm1": stem + "ln1",
        "norm2": stem + "ln2",
    }
    x = tokens + w["transformer.pos_embedding"][0, : len(tokens)]
    x, maps = blocks(x, w, names, config["tf_n_head"])
    x = layer_norm(x, w["transformer.ln_f.weight"], w["transformer.ln_f.bias"])
    return affine(w, "pred_action", x[-1]), maps


def rotary(x):
    """Turn the pairs (i, i + size/2) of slot t by t · 10000^(-2i/size); x is [head, token, size]."""
    half = x.shape[-1] // 2
    angles = np.arange(x.shape[1])[:, None] * 10000.0 ** (-np.arange(half) * 2 / x.shape[-1])
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angles) - b * np.sin(angles), a * np.sin(angles) + b * np.cos(angles)], -1)


def llama(x, w, heads):
    """Return output and maps of DICP's small LLaMA: q, k, v interleaved head by head."""
    maps, layer = [], 0
    while f"transformer.blocks.{layer}.norm_1.weight" in w:
        p = f"transformer.blocks.{layer}."
        z = affine(w, p + "attn.attn", rms_norm(x, w[p + "norm_1.weight"]))
        z = z.reshape(len(x), heads, 3, -1).transpose(2, 1, 0, 3)
        attended, weights = attention(rotary(z[0]), rotary(z[1]), z[2])
        maps.append(weights)
        x = x + affine(w, p + "attn.proj", attended)
        z = rms_norm(x, w[p + "norm_2.weight"])
        gate, up = z @ w[p + "mlp.swiglu.w1.weight"].T, z @ w[p + "mlp.swiglu.w2.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w[p + "mlp.swiglu.w3.weight"].T
        layer += 1
    return x, np.stack(maps)


def dicp_ad(w, config, h):
    """DICP AD: transitions, then the query cell's embedding."""
    x, maps = llama(one_token_tokens(w, h), w, config["tf_n_head"])
    return affine(w, "pred_action", x[-1]), maps


def dicp_dpt(w, config, h):
    """DICP DPT: (s, 0, 0, 0) first, then transitions; the last output decides."""
    query = np.concatenate([h.query, np.zeros(8)])[None]
    x, maps = llama(affine(w, "embed_context", np.concatenate([query, raw(h)])), w, config["tf_n_head"])
    return affine(w, "pred_actions", x[-1]), maps


def gpt2(x, w, stem, heads):
    """Return output and maps of GPT-2's blocks and final norm."""
    p = stem + ".h.{}."
    names = {
        "qkv": p + "attn.c_attn",
        "out": p + "attn.c_proj",
        "up": p + "mlp.c_fc",
        "down": p + "mlp.c_proj",
        "norm1": p + "ln_1",
        "norm2": p + "ln_2",
    }
    x, maps = blocks(x + w[stem + ".wpe.weight"][: len(x)], w, names, heads, gelu=gelu_new, conv1d=True)
    return layer_norm(x, w[stem + ".ln_f.weight"], w[stem + ".ln_f.bias"]), maps


def three_tokens(state, action, reward):
    """Return s₀ a₀ r₀ s₁ a₁ r₁ … and the last state, which has neither action nor reward."""
    history = np.stack([state[:-1], action, reward], 1).reshape(-1, state.shape[1])
    return np.concatenate([history, state[-1:]])


def states_of(h):
    """Return the numbers of the cells of every transition and of the query."""
    return index(np.concatenate([h.states, h.query[None]]))


def rad(w, config, h):
    """RAD_dark: three tokens a transition, the query's state last."""
    x = three_tokens(
        w["embed_state.weight"][states_of(h)],
        w["embed_action.weight"][h.actions],
        affine(w, "embed_reward", h.rewards[:, None]),
    )
    x, maps = gpt2(x, w, "transformer_model", config["tf_n_head"])
    return affine(w, "pred_action", x[-1]), maps


def dpt(w, config, h):
    """DPT: (s, a, s', r), the query (s, 0, 0, 0) first; the last output decides."""
    parts = np.concatenate([h.states, one_hot(h.actions), h.next_states, h.rewards[:, None]], 1).astype(np.float64)
    query = np.concatenate([h.query, np.zeros(8)])[None]
    x, maps = gpt2(affine(w, "embed_transition", np.concatenate([query, parts])), w, "transformer", config["heads"])
    return affine(w, "pred_actions", x[-1]), maps


def entries(table, h):
    """Return tokens out of a vocabulary of 81 cells, 5 actions and 2 rewards."""
    return three_tokens(table[states_of(h)], table[81 + h.actions], table[86 + h.rewards.astype(int)])


def hub_gpt2(w, config, h):
    """GPT-2 of the Transformers library: the vocabulary's own table reads the last state's output."""
    table = w["transformer.wte.weight"]
    x, maps = gpt2(entries(table, h), w, "transformer", config["n_head"])
    return x[-1] @ table[81:86].T, maps


def hub_llama(w, config, h):
    """Llama of the Transformers library: grouped queries, rotary positions, a head of its own."""
    x, maps, layer = entries(w["model.embed_tokens.weight"], h), [], 0
    while f"model.layers.{layer}.input_layernorm.weight" in w:
        p = f"model.layers.{layer}."
        z = rms_norm(x, w[p + "input_layernorm.weight"])
        q = heads_of(z @ w[p + "self_attn.q_proj.weight"].T, config["num_attention_heads"])
        k, v = (
            heads_of(z @ w[f"{p}self_attn.{part}_proj.weight"].T, config["num_key_value_heads"]) for part in ("k", "v")
        )
        shared = len(q) // len(k)
        attended, weights = attention(rotary(q), np.repeat(rotary(k), shared, 0), np.repeat(v, shared, 0))
        maps.append(weights)
        x = x + attended @ w[p + "self_attn.o_proj.weight"].T
        z = rms_norm(x, w[p + "post_attention_layernorm.weight"])
        gate, up = z @ w[p + "mlp.gate_proj.weight"].T, z @ w[p + "mlp.up_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w[p + "mlp.down_proj.weight"].T
        layer += 1
    return rms_norm(x[-1], w["model.norm.weight"]) @ w["lm_head.weight"][81:86].T, np.stack(maps)


def hub_bloom(w, config, h):
    """BLOOM of the Transformers library: a norm of the embeddings, q, k, v head by head, penalties by distance."""
    x = entries(w["transformer.word_embeddings.weight"], h)
    heads, maps, layer = config["n_head"], [], 0
    far = np.arange(len(x))[:, None] - np.arange(len(x))
    slopes = 2.0 ** (-8 * np.arange(1, heads + 1) / heads)

    def normed(z, name):
        return layer_norm(z, w[f"{name}.weight"], w[f"{name}.bias"])

    x = normed(x, "transformer.word_embeddings_layernorm")
    while f"transformer.h.{layer}.input_layernorm.weight" in w:
        p = f"transformer.h.{layer}."
        z = affine(w, p + "self_attention.query_key_value", normed(x, p + "input_layernorm"))
        q, k, v = z.reshape(len(x), heads, 3, -1).transpose(2, 1, 0, 3)
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]) - slopes[:, None, None] * far
        maps.append(softmax(np.where(far < 0, -np.inf, scores)))
        joined = (maps[-1] @ v).transpose(1, 0, 2).reshape(x.shape)
        x = x + affine(w, p + "self_attention.dense", joined)
        up = affine(w, p + "mlp.dense_h_to_4h", normed(x, p + "post_attention_layernorm"))
        x = x + affine(w, p + "mlp.dense_4h_to_h", gelu_new(up))
        layer += 1
    return normed(x[-1], "transformer.ln_f") @ w["transformer.word_embeddings.weight"][81:86].T, np.stack(maps)


_MHA = {
    "qkv": "blocks.{}.attention.in_proj",
    "out": "blocks.{}.attention.out_proj",
    "up": "blocks.{}.mlp.0",
    "down": "blocks.{}.mlp.2",
    "norm1": "blocks.{}.norm1",
    "norm2": "blocks.{}.norm2",
}


def ad_eps(w, config, h):
    """AD-eps, as its own inference runs it: with placeholders (action 0, reward 0) after the state that decides."""
    steps = len(h.actions) + 1
    tokens = np.stack(
        [
            w["state_emb.weight"][states_of(h)],
            w["action_emb.weight"][np.append(h.actions, 0)],
            affine(w, "reward_emb", np.append(h.rewards, 0.0)[:, None]),
        ],
        1,
    ).reshape(3 * steps, -1)
    x = affine(w, "emb2hid", tokens + w["pos_emb.pos_emb"][0, : 3 * steps])
    x, maps = blocks(x, w, _MHA, config["num_heads"])
    decides = 3 * steps - 3
    return affine(w, "action_head", x[decides]), maps[:, :, : decides + 1, : decides + 1]


def cinemere(w, config, h):
    """Cinemere: a position a step, shared by its three tokens; post-norm unless the configuration says pre-norm."""
    steps = len(h.actions) + 1
    at = w["pos_enc.pos_embedding"][0, :steps]
    parts = (
        w["state_emb.weight"][states_of(h)] + at,
        w["action_emb.weight"][np.append(h.actions, 0)] + at,
        w["reward_emb.weight"][np.append(h.rewards, 0).astype(int)] + at,
    )
    x = affine(w, "emb2hid", np.stack(parts, 1).reshape(3 * steps, -1))
    norm = {"prenorm": "pre", "postnorm": "post"}[config["ln_placem"]]
    x, maps = blocks(x, w, _MHA, config["num_heads"], norm=norm)
    decides = 3 * steps - 3
    return affine(w, "action_head", x[decides]), maps[:, :, : decides + 1, : decides + 1]
