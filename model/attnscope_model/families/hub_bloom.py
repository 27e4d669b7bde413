"""BLOOM as the Transformers library has it, acting: ALiBi's penalties instead of positions, one vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from attnscope_model.families.hub_gpt2 import Gpt2Layer
from attnscope_model.families.vocabulary import Vocabulary, VocabularyPolicy
from attnscope_model.forward.description import described, parameters_of
from attnscope_model.forward.distances import Alibi
from attnscope_model.forward.layers import normed
from attnscope_model.forward.stack import Slots

FAMILY = "hub-bloom"
"""Name of the family in entries and captures."""


@dataclass(frozen=True)
class HubBloomConfig:
    """Sizes from the tensors' shapes, and facts of the folder's two files."""

    width: int
    layers: int
    heads: int
    feedforward: int
    context_length: int
    vocabulary: int
    epsilon: float
    """Added to the variance before its root."""
    tied: bool
    """The head is the vocabulary's own table."""
    words: Vocabulary

    @property
    def actions(self) -> int:
        """Actions to choose from."""
        return self.words.actions


class HubBloomPolicy(VocabularyPolicy):
    """A BLOOM language model as a policy."""

    def __init__(self, config: HubBloomConfig) -> None:
        super().__init__()
        self.words = config.words
        self.distances = Alibi(config.heads)
        self._stack = tuple(
            Gpt2Layer(config, "gelu_pytorch_tanh", config.epsilon, self.distances) for _ in range(config.layers)
        )
        self.blocks = nn.ModuleList(self._stack)
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.embedding_norm = nn.LayerNorm(config.width, eps=config.epsilon)
        self.final_norm = nn.LayerNorm(config.width, eps=config.epsilon)
        self.head = None if config.tied else nn.Linear(config.width, config.vocabulary, bias=False)
        self.description = described(
            config,
            parameters_of(self),
            family=FAMILY,
            positions="alibi",
            token_kinds=config.words.tokens,
            observation="cell" if config.words.grid_size else "discrete",
        )

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:  # noqa: ARG002 - attention alone knows distances
        """Return the tokens normalised, as the embedding's own norm does."""
        return normed(self.embedding_norm, tokens)
