"""Layers with stacked queries, keys and values: pre- or post-norm, GELU in either form; and policies made of them.

Knows no family: a family says what its tokens are and where they stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.attention import TapedAttention
from attnscope_model.stack import Layer, Slots, StackedPolicy
from attnscope_storage.wire import PolicyDescription


@dataclass(frozen=True)
class BlockShape:
    """What makes a stack of blocks."""

    width: int
    layers: int
    heads: int
    feedforward: int
    norm: Literal["pre", "post"]
    gelu: Literal["none", "tanh"] = "none"
    """Approximation of GELU, in torch's words: ``none`` is by the error function, ``tanh`` is GPT-2's."""
    final_norm: bool = False


class BlockLayer(Layer):
    """One causal layer over stacked q, k and v.

    Pre-norm: x = x + attention(LN(x)), x = x + W₂ gelu(W₁ LN(x)). Post-norm: x = LN(x + attention(x)),
    x = LN(x + W₂ gelu(W₁ x)).
    """

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        d = shape.width
        self.heads = shape.heads
        self.norm_first = shape.norm == "pre"
        self.gelu = shape.gelu
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)
        self.up = nn.Linear(d, shape.feedforward)
        self.down = nn.Linear(shape.feedforward, d)
        self.norm1 = nn.LayerNorm(d)
        self.norm2 = nn.LayerNorm(d)
        self.attention = TapedAttention(causal=True)

    def project(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ARG002 - positions are added before the layers
        """Return queries, keys and values."""
        queries, keys, values = self._projected(x, slice(None))
        return queries, keys, values

    def query(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env head token size"]:  # noqa: ARG002 - as above
        """Return the queries alone."""
        return self._projected(x, slice(x.shape[-1]))[0]

    def memory(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - as above
        """Return the keys and values alone."""
        keys, values = self._projected(x, slice(x.shape[-1], None))
        return keys, values

    def _projected(self, x: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """Return the projections by these rows of the stacked weights, each [env, head, token, size]."""
        envs, tokens, width = x.shape
        normed = self.norm1(x) if self.norm_first else x
        stacked = functional.linear(normed, self.qkv.weight[rows], self.qkv.bias[rows])
        stacked = stacked.view(envs, tokens, -1, self.heads, width // self.heads)
        return stacked.permute(2, 0, 3, 1, 4).unbind()

    def output(self) -> Float[Tensor, "width joined"]:
        """Return the output map's weight."""
        return self.out.weight

    def finish(
        self, x: Float[Tensor, "env token width"], attended: Float[Tensor, "env head token size"]
    ) -> Float[Tensor, "env token width"]:
        """Return the output of tokens whose attended values are given."""
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        x = x if self.norm_first else self.norm1(x)
        x = x + self.down(functional.gelu(self.up(self.norm2(x) if self.norm_first else x), approximate=self.gelu))
        return x if self.norm_first else self.norm2(x)


class BlockPolicy(StackedPolicy):
    """A policy whose stack is made of `BlockLayer`s, read by one linear map."""

    def __init__(self, shape: BlockShape, actions: int) -> None:
        super().__init__()
        self._stack = tuple(BlockLayer(shape) for _ in range(shape.layers))
        self.blocks = nn.ModuleList(self._stack)
        self.final_norm = nn.LayerNorm(shape.width) if shape.final_norm else nn.Identity()
        self.head = nn.Linear(shape.width, actions)

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers, first layer first."""
        return self._stack

    def read(self, x: Float[Tensor, "env width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the deciding token's output."""
        logits: Tensor = self.head(self.final_norm(x))
        return logits


def with_parameters(description: PolicyDescription, policy: nn.Module) -> PolicyDescription:
    """Return the description with the policy's parameters counted."""
    return description.model_copy(update={"parameters": sum(p.numel() for p in policy.parameters())})


def cell_index(observation: Tensor, grid_size: int) -> Tensor:
    """Return the number of each cell (row, column), row by row."""
    return observation[:, 0] * grid_size + observation[:, 1]


def raw_transition(
    observation: Tensor, action: Tensor, reward: Tensor, next_observation: Tensor, actions: int
) -> Tensor:
    """Return (s, one-hot a, r, s') as one vector [env, 2·feature + action + 1]."""
    one_hot = functional.one_hot(action, actions)
    return torch.cat([part.float() for part in (observation, one_hot, reward[:, None], next_observation)], dim=1)
