"""CCCAD's AD: a causal pre-norm stack over one token a transition, learned absolute positions, a final norm.

Its compressing sibling (CAD) is another model and not read here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnscope_model.families.block import BlockPolicy, BlockShape, cell_index, raw_transition, with_parameters
from attnscope_model.stack import Slots, at_slots
from attnscope_storage.wire import PolicyDescription

FAMILY = "cccad-ad"
"""Name of the family in entries and captures."""


@dataclass(frozen=True)
class CccadConfig:
    """What the tensors' shapes do not say, and what they do."""

    width: int
    layers: int
    heads: int
    context_length: int
    feedforward: int
    grid_size: int
    actions: int


class CccadPolicy(BlockPolicy):
    """The AD policy of CCCAD."""

    def __init__(self, config: CccadConfig) -> None:
        shape = BlockShape(config.width, config.layers, config.heads, config.feedforward, "pre", final_norm=True)
        super().__init__(shape, config.actions)
        self.config = config
        self.positions = nn.Parameter(torch.zeros(1, config.context_length, config.width))
        self.embed_context = nn.Linear(2 * 2 + config.actions + 1, config.width)
        self.embed_query_state = nn.Embedding(config.grid_size**2, config.width)
        description = PolicyDescription(
            family=FAMILY,
            layers=config.layers,
            heads=config.heads,
            width=config.width,
            context_length=config.context_length,
            actions=config.actions,
            causal=True,
            positions="learned-absolute",
            query_slot="last",
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
        """Return one token: the embedding of the query's cell."""
        embedded: Tensor = self.embed_query_state(cell_index(observation, self.config.grid_size))
        return embedded[:, None]

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return the tokens with the positions of their slots added."""
        return tokens + at_slots(self.positions[0], first, tokens.shape[1])
