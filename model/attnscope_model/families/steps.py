"""AD-eps and cinemere: three tokens a transition, sinusoids added before a map to the stack's width.

AD-eps numbers tokens, pre-norm; cinemere numbers transitions (a transition's three tokens share a position) and is
pre- or post-norm. At inference their own code appends placeholders for the action and reward that are still to come;
the mask hides them from the state token that decides, so they are left out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.families.headed import HeadedStack
from attnscope_model.families.tokens import STATE_ACTION_REWARD, StateActionReward
from attnscope_model.forward.description import described, parameters_of
from attnscope_model.forward.layers import BlockLayer
from attnscope_model.forward.stack import Slots, at_slots

AD_EPS_FAMILY = "ad-eps"
CINEMERE_FAMILY = "cinemere-ad"
"""Names of the families in entries and captures."""

TOKENS = 3
"""Tokens of a transition: state, action, reward."""


@dataclass(frozen=True)
class StepsConfig:
    """Sizes from the tensors' shapes, and facts that shapes do not hold."""

    family: Literal["ad-eps", "cinemere-ad"]
    embedding: int
    """Width of the embeddings, before the map to the stack's."""
    width: int
    layers: int
    heads: int
    feedforward: int
    norm: Literal["pre", "post"]
    grid_size: int
    actions: int
    positions: int
    """Rows of the position table: three for each step of a context."""

    @property
    def context_length(self) -> int:
        """Tokens of a full context; the last step's placeholders are left out, so one of it and three of the others."""
        return self.positions - TOKENS + 1


class StepsPolicy(StateActionReward, HeadedStack):
    """A policy over state, action and reward tokens whose state token decides."""

    positions: Tensor
    widen: nn.Linear

    def __init__(self, config: StepsConfig) -> None:
        super().__init__((BlockLayer(config, norm=config.norm) for _ in range(config.layers)), config)
        self.grid_size = config.grid_size
        self.by_token = config.family == AD_EPS_FAMILY
        self.register_buffer("positions", torch.zeros(1, config.positions, config.embedding))
        self.embed_state = nn.Embedding(config.grid_size**2, config.embedding)
        self.embed_action = nn.Embedding(config.actions, config.embedding)
        self.embed_reward = nn.Linear(1, config.embedding) if self.by_token else nn.Embedding(2, config.embedding)
        self.widen = nn.Linear(config.embedding, config.width)
        self.description = described(
            config, parameters_of(self), family=config.family, positions="sinusoidal", token_kinds=STATE_ACTION_REWARD
        )

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return the tokens with their sinusoids added, through the map that the embeddings went through."""
        if self.by_token:
            sinusoids = at_slots(self.positions[0], first, tokens.shape[1])
        else:
            count = torch.arange(tokens.shape[1], device=tokens.device)
            slots = first + count if isinstance(first, int) else first
            sinusoids = self.positions[0, slots // TOKENS]
        return tokens + functional.linear(sinusoids, self.widen.weight)
