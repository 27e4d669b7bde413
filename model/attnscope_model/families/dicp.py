"""DICP's AD and DPT on its small LLaMA: RMS norms, rotary positions, SwiGLU, causal; in plain torch.

AD's query is a cell's embedding at the end; DPT's is (s, 0, 0, 0) through the transitions' map, at the front.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.attention import TapedAttention
from attnscope_model.families.block import cell_index, raw_transition, with_parameters
from attnscope_model.stack import Layer, Slots, StackedPolicy, at_slots
from attnscope_storage.wire import PolicyDescription

AD_FAMILY = "dicp-ad"
DPT_FAMILY = "dicp-dpt"
"""Names of the families in entries and captures."""

ROPE_BASE = 10_000
"""Base of the rotary frequencies."""

NORM_EPS = 1e-5
"""Added to the mean square before its root."""


@dataclass(frozen=True)
class DicpConfig:
    """What the tensors' shapes do not say, and what they do."""

    family: Literal["dicp-ad", "dicp-dpt"]
    width: int
    layers: int
    heads: int
    context_length: int
    feedforward: int
    grid_size: int
    """Rows and columns of the room; DPT does not ask for it and has 0."""
    actions: int


class Rotation:
    """Rotary positions: the cosines and sines of slots, computed once for as many as were ever asked for."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._table = torch.empty(2, 0, size // 2)

    def turned(self, x: Float[Tensor, "env head token size"], first: Slots) -> Float[Tensor, "env head token size"]:
        """Return x with the pairs (i, i + size/2) of slot s turned by s·base^(-2i/size)."""
        end = first + x.shape[2] if isinstance(first, int) else int(first.max()) + 1
        if end > self._table.shape[1] or self._table.device != x.device:
            self._table = self._angles(2 * end, x.device)
        cosine, sine = (at_slots(table, first, x.shape[2]).unsqueeze(-3) for table in self._table)
        one, other = x.chunk(2, dim=-1)
        return torch.cat([one * cosine - other * sine, one * sine + other * cosine], dim=-1)

    def _angles(self, slots: int, device: torch.device) -> Tensor:
        exponents = torch.arange(0, self._size, 2, dtype=torch.float64) / self._size
        angles = torch.outer(torch.arange(slots, dtype=torch.float64), ROPE_BASE**-exponents)
        return torch.stack([angles.cos(), angles.sin()]).float().to(device)


class LlamaLayer(Layer):
    """One layer: x = x + attention(RMS(x)), x = x + W₃(silu(W₁ z) · W₂ z) with z = RMS(x)."""

    def __init__(self, config: DicpConfig, rotation: Rotation) -> None:
        super().__init__()
        d, inner = config.width, config.feedforward
        self.heads = config.heads
        self.norm1 = nn.RMSNorm(d, eps=NORM_EPS)
        self.norm2 = nn.RMSNorm(d, eps=NORM_EPS)
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)
        self.gate = nn.Linear(d, inner, bias=False)
        self.up = nn.Linear(d, inner, bias=False)
        self.down = nn.Linear(inner, d, bias=False)
        self.attention = TapedAttention(causal=True)
        self._rotation = rotation

    def project(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values."""
        queries, keys, values = self._projected(x, (0, 1, 2))
        return self._rotation.turned(queries, first), self._rotation.turned(keys, first), values

    def query(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env head token size"]:
        """Return the queries alone."""
        return self._rotation.turned(self._projected(x, (0,))[0], first)

    def memory(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> tuple[Tensor, Tensor]:
        """Return the keys and values alone."""
        keys, values = self._projected(x, (1, 2))
        return self._rotation.turned(keys, first), values

    def turned(self, x: Float[Tensor, "env head token size"], first: Slots) -> Float[Tensor, "env head token size"]:
        """Return queries or keys of slot 0 as those of other slots."""
        return self._rotation.turned(x, first)

    def _projected(self, x: Tensor, parts: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Return these of q, k and v, each [env, head, token, size]; the weights hold q, k and v head by head."""
        envs, tokens, width = x.shape
        size = width // self.heads
        low, high = parts[0], parts[-1] + 1
        weight = self.qkv.weight.view(self.heads, 3, size, width)[:, low:high].reshape(-1, width)
        bias = self.qkv.bias.view(self.heads, 3, size)[:, low:high].reshape(-1)
        stacked = functional.linear(self.norm1(x), weight, bias).view(envs, tokens, self.heads, len(parts), size)
        return stacked.permute(3, 0, 2, 1, 4).unbind()

    def output(self) -> Float[Tensor, "width joined"]:
        """Return the output map's weight."""
        return self.out.weight

    def finish(
        self, x: Float[Tensor, "env token width"], attended: Float[Tensor, "env head token size"]
    ) -> Float[Tensor, "env token width"]:
        """Return the output of tokens whose attended values are given."""
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        z = self.norm2(x)
        added: Tensor = self.down(functional.silu(self.gate(z)) * self.up(z))
        return x + added


class DicpPolicy(StackedPolicy):
    """The AD or DPT policy of DICP; what it learnt besides of the environment's dynamics is not used."""

    def __init__(self, config: DicpConfig) -> None:
        super().__init__()
        self.config = config
        self.query_first = config.family == DPT_FAMILY
        rotation = Rotation(config.width // config.heads)
        self._stack = tuple(LlamaLayer(config, rotation) for _ in range(config.layers))
        self.blocks = nn.ModuleList(self._stack)
        self.embed_context = nn.Linear(2 * 2 + config.actions + 1, config.width)
        if not self.query_first:
            self.embed_query_state = nn.Embedding(config.grid_size**2, config.width)
        self.head = nn.Linear(config.width, config.actions)
        description = PolicyDescription(
            family=config.family,
            layers=config.layers,
            heads=config.heads,
            width=config.width,
            context_length=config.context_length,
            actions=config.actions,
            causal=True,
            positions="rotary",
            query_slot="first" if self.query_first else "last",
            tokens_per_transition=1,
            observation="cell",
            parameters=0,
        )
        self.description = with_parameters(description, self)

    def embed_transition(
        self,
        observation: Int[Tensor, "env feature"],
        action: Int[Tensor, " env"],
        reward: Float[Tensor, " env"],
        next_observation: Int[Tensor, "env feature"],
    ) -> Float[Tensor, "env token width"]:
        """Return one token: a linear map of (s, one-hot a, r, s')."""
        parts = raw_transition(observation, action, reward, next_observation, self.config.actions)
        embedded: Tensor = self.embed_context(parts)
        return embedded[:, None]

    def embed_query(self, observation: Int[Tensor, "env feature"]) -> Float[Tensor, "env token width"]:
        """Return one token: AD's is the embedding of the cell, DPT's the transitions' map of (s, 0, 0, 0)."""
        if self.query_first:
            padded = functional.pad(observation.float(), (0, self.config.actions + 1 + 2))
            embedded: Tensor = self.embed_context(padded)
        else:
            embedded = self.embed_query_state(cell_index(observation, self.config.grid_size))
        return embedded[:, None]

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:  # noqa: ARG002 - queries and keys are turned in the layers
        """Return the tokens as they are."""
        return tokens

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers, first layer first."""
        return self._stack

    def read(self, x: Float[Tensor, "env width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the deciding token's output."""
        logits: Tensor = self.head(x)
        return logits
