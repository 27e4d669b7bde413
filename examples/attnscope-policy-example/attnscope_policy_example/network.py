"""Somebody's own network, as it was before attnscope: plain torch, two attention layers, causal."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Causal self-attention over two heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor) -> Tensor:
        """Return x with what its tokens attend to added."""
        envs, tokens, width = x.shape
        q, k, v = self.to_qkv(x).view(envs, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return x + attended.transpose(1, 2).reshape(envs, tokens, width)


class TinyNetwork(nn.Module):
    """Embeds cells, actions and rewards; predicts the next action from the last token."""

    def __init__(self, cells: int = 81, actions: int = 5, width: int = 16, heads: int = 2, slots: int = 12) -> None:
        super().__init__()
        self.cell = nn.Embedding(cells, width)
        self.action = nn.Embedding(actions, width)
        self.reward = nn.Embedding(2, width)
        self.slot = nn.Parameter(torch.zeros(slots, width))
        self.attend = nn.ModuleList(Attention(width, heads) for _ in range(2))
        self.decide = nn.Linear(width, actions)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the last token."""
        x = x + self.slot[: x.shape[1]]
        for layer in self.attend:
            x = layer(x)
        logits: Tensor = self.decide(x[:, -1])
        return logits
