"""The usual way to capture attention today, re-created from its description as the baseline.

Each step re-runs every layer by hand for the attention weights and then runs the model again for the action; every
whole map stays in memory until the end, and is pickled then; each environment is a process of its own. The model is
torch's own encoder, so that the baseline has whatever fast path torch gives it.
"""

from __future__ import annotations

import pickle  # noqa: TID251 - the baseline writes one, as its users do; nothing is read from it
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class EncoderPolicy(nn.Module):
    """The AD reference policy on `torch.nn.TransformerEncoder`."""

    def __init__(self, tensors: Mapping[str, Tensor], *, heads: int, causal: bool, size: int = 9) -> None:
        super().__init__()
        self.causal, self.size = causal, size
        self.context_length, width = tensors["pos_embedding"].shape[1:]
        self.actions = tensors["pred_action.weight"].shape[0]
        layers = 1 + max(int(name.split(".")[2]) for name in tensors if name.startswith("transformer_encoder."))
        self.pos_embedding = nn.Parameter(torch.zeros(1, self.context_length, width))
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, activation="gelu", batch_first=True)
        self.transformer_encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.embed_context = nn.Linear(tensors["embed_context.weight"].shape[1], width)
        self.embed_query_state = nn.Embedding(size * size, width)
        self.pred_action = nn.Linear(width, self.actions)
        self.load_state_dict(dict(tensors))
        self.eval()

    def mask(self, tokens: int) -> Tensor | None:
        """Return the additive mask of a causal policy."""
        return nn.Transformer.generate_square_subsequent_mask(tokens) if self.causal else None

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [env, action] of a context [env, token, width]."""
        n = tokens.shape[1]
        out = self.transformer_encoder(tokens + self.pos_embedding[:, :n], mask=self.mask(n), is_causal=self.causal)
        return self.pred_action(out[:, -1])

    def attention(self, tokens: Tensor) -> list[np.ndarray]:
        """Return every layer's maps [env, head, query, slot], by running the layers by hand."""
        n = tokens.shape[1]
        x, mask, maps = tokens + self.pos_embedding[:, :n], self.mask(n), []
        for layer in self.transformer_encoder.layers:
            out, weights = layer.self_attn(x, x, x, attn_mask=mask, need_weights=True, average_attn_weights=False)
            maps.append(weights.numpy())
            x = layer.norm1(x + out)
            x = layer.norm2(x + layer.linear2(torch.nn.functional.gelu(layer.linear1(x))))
        return maps

    def embed(self, state: Tensor, action: Tensor, reward: Tensor, reached: Tensor) -> Tensor:
        """Return the token [env, 1, width] of a transition."""
        one_hot = nn.functional.one_hot(action, self.actions).float()
        return self.embed_context(torch.cat([state.float(), one_hot, reward[:, None], reached.float()], dim=1))[:, None]


@dataclass
class ReferenceRun:
    """The arrays that one rollout leaves in memory."""

    maps: list[list[np.ndarray]] = field(default_factory=list)
    logits: list[np.ndarray] = field(default_factory=list)
    actions: list[np.ndarray] = field(default_factory=list)
    rewards: list[np.ndarray] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """Bytes of every map."""
        return sum(layer.nbytes for step in self.maps for layer in step)


@torch.no_grad()
def roll_out(
    policy: EncoderPolicy,
    rooms: Any,  # noqa: ANN401 - whatever has `observation` and `step`
    steps: int,
    *,
    capture: bool,
    greedy: bool,
    context: Tensor | None = None,
) -> ReferenceRun:
    """Roll out `steps` steps from a context [env, token, width], keeping every map in memory where `capture` is set."""
    run = ReferenceRun()
    for _ in range(steps):
        state = torch.from_numpy(rooms.observation)
        query = policy.embed_query_state(state[:, 0].long() * policy.size + state[:, 1].long())[:, None]
        tokens = query if context is None else torch.cat([context, query], dim=1)
        if capture:
            run.maps.append(policy.attention(tokens))
        logits = policy(tokens)
        action = logits.argmax(-1) if greedy else torch.multinomial(logits.softmax(-1), 1)[:, 0]
        reached, rewards = rooms.step(action.numpy())
        token = policy.embed(state, action, torch.from_numpy(rewards), torch.from_numpy(reached))
        context = token if context is None else torch.cat([context, token], dim=1)
        context = context[:, -(policy.context_length - 1) :]
        run.logits.append(logits.numpy())
        run.actions.append(action.numpy())
        run.rewards.append(rewards)
    return run


def store(run: ReferenceRun, folder: Path) -> None:
    """Write the maps and rewards as they are kept today."""
    with (folder / "attention_history.pkl").open("wb") as file:
        pickle.dump(run.maps, file)
    np.savez(folder / "attention_data.npz", rewards=np.stack(run.rewards, axis=1))
