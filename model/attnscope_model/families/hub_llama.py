"""Llama as the Transformers library has it, acting: RMS norms, rotary positions, grouped queries, one vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnscope_model.families.hub_gpt2 import ACTIVATIONS
from attnscope_model.families.vocabulary import Vocabulary, VocabularyPolicy
from attnscope_model.forward.attention import TapedAttention
from attnscope_model.forward.description import described, parameters_of
from attnscope_model.forward.layers import Rotation
from attnscope_model.forward.stack import Layer, Slots

FAMILY = "hub-llama"
"""Name of the family in entries and captures."""


@dataclass(frozen=True)
class HubLlamaConfig:
    """Sizes from the tensors' shapes, and facts of the folder's two files."""

    width: int
    layers: int
    heads: int
    key_heads: int
    """Heads of keys and values, each shared by as many consecutive query heads."""
    feedforward: int
    context_length: int
    vocabulary: int
    activation: str
    epsilon: float
    """Added to the mean square before its root."""
    base: float
    """Base of the rotary frequencies."""
    attention_bias: bool
    mlp_bias: bool
    tied: bool
    """The head is the vocabulary's own table."""
    words: Vocabulary

    @property
    def actions(self) -> int:
        """Actions to choose from."""
        return self.words.actions


class LlamaLayer(Layer):
    """One layer: x = x + attention(RMS(x)), x = x + down(act(gate z) · up z) with z = RMS(x)."""

    def __init__(self, config: HubLlamaConfig, rotation: Rotation) -> None:
        super().__init__()
        self.heads, self.shared = config.heads, config.heads // config.key_heads
        self.attention = TapedAttention(causal=True)
        self.rotation = rotation
        self.activation = ACTIVATIONS[config.activation]
        d, inner, size = config.width, config.feedforward, config.width // config.heads
        self.norm1 = nn.RMSNorm(d, eps=config.epsilon)
        self.norm2 = nn.RMSNorm(d, eps=config.epsilon)
        self.queries = nn.Linear(d, d, bias=config.attention_bias)
        self.keys = nn.Linear(d, config.key_heads * size, bias=config.attention_bias)
        self.values = nn.Linear(d, config.key_heads * size, bias=config.attention_bias)
        self.joined = nn.Linear(d, d, bias=config.attention_bias)
        self.gate = nn.Linear(d, inner, bias=config.mlp_bias)
        self.up = nn.Linear(d, inner, bias=config.mlp_bias)
        self.down = nn.Linear(inner, d, bias=config.mlp_bias)

    def project(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, those of a group repeated for each of its query heads."""
        z = self.norm1(x)
        keys, values = self._memory(z, first)
        return self.rotation.turned(self._split(self.queries(z)), first), keys, values

    def query(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env head token size"]:
        """Return the queries alone."""
        return self.rotation.turned(self._split(self.queries(self.norm1(x))), first)

    def memory(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> tuple[Tensor, Tensor]:
        """Return the keys and values alone."""
        return self._memory(self.norm1(x), first)

    def finish(
        self, x: Float[Tensor, "env token width"], attended: Float[Tensor, "env head token size"]
    ) -> Float[Tensor, "env token width"]:
        """Return the output of tokens whose attended values are given."""
        x = x + self.joined(attended.transpose(1, 2).flatten(2))
        z = self.norm2(x)
        added: Tensor = self.down(self.activation(self.gate(z)) * self.up(z))
        return x + added

    def turned(self, x: Float[Tensor, "env head token size"], first: Slots) -> Float[Tensor, "env head token size"]:
        """Return queries or keys of slot 0 as those of other slots, also beyond a context's."""
        self.rotation.reach(first, x.shape[2])
        return self.rotation.turned(x, first)

    def output(self) -> Float[Tensor, "width joined"]:
        """Return the output map's weight."""
        return self.joined.weight

    def _memory(self, z: Tensor, first: Slots) -> tuple[Tensor, Tensor]:
        keys = self.rotation.turned(self._split(self.keys(z)), first)
        return (
            keys.repeat_interleave(self.shared, dim=1),
            self._split(self.values(z)).repeat_interleave(self.shared, dim=1),
        )

    def _split(self, x: Float[Tensor, "env token joined"]) -> Float[Tensor, "env head token size"]:
        size = self.queries.in_features // self.heads
        return x.reshape(*x.shape[:-1], -1, size).transpose(1, 2)


class HubLlamaPolicy(VocabularyPolicy):
    """A Llama language model as a policy."""

    def __init__(self, config: HubLlamaConfig) -> None:
        super().__init__()
        self.words = config.words
        angles = partial(rotary_angles, base=config.base)
        rotation = Rotation(angles, config.context_length, config.width // config.heads)
        self._stack = tuple(LlamaLayer(config, rotation) for _ in range(config.layers))
        self.blocks = nn.ModuleList(self._stack)
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.final_norm = nn.RMSNorm(config.width, eps=config.epsilon)
        self.head = None if config.tied else nn.Linear(config.width, config.vocabulary, bias=False)
        self.description = described(
            config,
            parameters_of(self),
            family=FAMILY,
            positions="rotary",
            token_kinds=config.words.tokens,
            observation="cell" if config.words.grid_size else "discrete",
        )

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:  # noqa: ARG002 - queries and keys are turned in the layers
        """Return the tokens as they are."""
        return tokens


def rotary_angles(slots: int, size: int, *, base: float) -> Float[Tensor, "slot half"]:
    """Return the angle, in radians, by which each slot turns each pair of a head's dimensions; in double precision."""
    exponents = torch.arange(0, size, 2, dtype=torch.float64) / size
    return torch.outer(torch.arange(slots, dtype=torch.float64), base**-exponents)
