"""CCCAD's AD: a causal pre-norm stack over one token a transition, learned absolute positions, a final norm.

Its compressing sibling (CAD) is another model and not read here.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnscope_model.families.headed import HeadedStack
from attnscope_model.families.tokens import CellConfig, WholeTransitions
from attnscope_model.forward.description import described, parameters_of
from attnscope_model.forward.layers import BlockLayer
from attnscope_model.forward.stack import Slots, at_slots

FAMILY = "cccad-ad"
"""Name of the family in entries and captures."""


class CccadPolicy(WholeTransitions, HeadedStack):
    """The AD policy of CCCAD."""

    def __init__(self, config: CellConfig) -> None:
        super().__init__((BlockLayer(config, norm="pre") for _ in range(config.layers)), config, final_norm=True)
        self.grid_size = config.grid_size
        self.positions = nn.Parameter(torch.zeros(1, config.context_length, config.width))
        self.embed_context = nn.Linear(2 * 2 + config.actions + 1, config.width)
        self.embed_query_state = nn.Embedding(config.grid_size**2, config.width)
        self.description = described(config, parameters_of(self), family=FAMILY, positions="learned-absolute")

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return the tokens with the positions of their slots added."""
        return tokens + at_slots(self.positions[0], first, tokens.shape[1])
