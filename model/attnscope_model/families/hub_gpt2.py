"""GPT-2 as the Transformers library has it, acting: learned absolute positions, pre-norm, one vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.families.vocabulary import Vocabulary, VocabularyPolicy
from attnscope_model.forward.description import Sizes, described, parameters_of
from attnscope_model.forward.distances import DistanceBias
from attnscope_model.forward.layers import BlockLayer, linear
from attnscope_model.forward.stack import Slots, at_slots

FAMILY = "hub-gpt2"
"""Name of the family in entries and captures."""

ACTIVATIONS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = MappingProxyType(
    {
        "gelu": functional.gelu,
        "gelu_new": partial(functional.gelu, approximate="tanh"),
        "gelu_pytorch_tanh": partial(functional.gelu, approximate="tanh"),
        "relu": functional.relu,
        "silu": functional.silu,
        "tanh": torch.tanh,
    }
)
"""Activations by the library's words."""


@dataclass(frozen=True)
class HubGpt2Config:
    """Sizes from the tensors' shapes, and facts of the folder's two files."""

    width: int
    layers: int
    heads: int
    feedforward: int
    context_length: int
    vocabulary: int
    positions: int
    """Rows of the position table."""
    activation: str
    epsilon: float
    """Added to the variance before its root."""
    tied: bool
    """The head is the vocabulary's own table."""
    words: Vocabulary

    @property
    def actions(self) -> int:
        """Actions to choose from."""
        return self.words.actions


class Gpt2Layer(BlockLayer):
    """GPT-2's layer with one of the library's activations."""

    def __init__(self, sizes: Sizes, activation: str, epsilon: float, bias: DistanceBias | None = None) -> None:
        super().__init__(sizes, norm="pre", bias=bias)
        self.activation = ACTIVATIONS[activation]
        self.norm1.eps = self.norm2.eps = epsilon

    def _fed_forward(self, x: Tensor) -> Tensor:
        return linear(self.linear2, self.activation(linear(self.linear1, x)))


class HubGpt2Policy(VocabularyPolicy):
    """A GPT-2 language model as a policy."""

    def __init__(self, config: HubGpt2Config) -> None:
        super().__init__()
        self.words = config.words
        self._stack = tuple(Gpt2Layer(config, config.activation, config.epsilon) for _ in range(config.layers))
        self.blocks = nn.ModuleList(self._stack)
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Parameter(torch.zeros(config.positions, config.width))
        self.final_norm = nn.LayerNorm(config.width, eps=config.epsilon)
        self.head = None if config.tied else nn.Linear(config.width, config.vocabulary, bias=False)
        self.description = described(
            config,
            parameters_of(self),
            family=FAMILY,
            positions="learned-absolute",
            token_kinds=config.words.tokens,
            observation="cell" if config.words.grid_size else "discrete",
        )

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return the tokens with the positions of their slots added."""
        return tokens + at_slots(self.positions, first, tokens.shape[1])
