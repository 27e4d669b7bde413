"""AD-eps and cinemere: three tokens a transition, sinusoids added before a map to the stack's width.

AD-eps numbers tokens, pre-norm; cinemere numbers transitions (a transition's three tokens share a position) and is
pre- or post-norm. At inference their own code appends placeholders for the action and reward that are still to come;
the mask hides them from the state token that decides, so they are left out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.families.block import BlockPolicy, BlockShape, cell_index, with_parameters
from attnscope_model.stack import Slots, at_slots
from attnscope_storage.wire import PolicyDescription

AD_EPS_FAMILY = "ad-eps"
CINEMERE_FAMILY = "cinemere-ad"
"""Names of the families in entries and captures."""

TOKENS = 3
"""Tokens of a transition: state, action, reward."""


@dataclass(frozen=True)
class StepsConfig:
    """What the tensors' shapes do not say, and what they do."""

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


class StepsPolicy(BlockPolicy):
    """A policy over state, action and reward tokens whose state token decides."""

    positions: Tensor

    def __init__(self, config: StepsConfig) -> None:
        super().__init__(
            BlockShape(config.width, config.layers, config.heads, config.feedforward, config.norm), config.actions
        )
        self.config = config
        self.by_token = config.family == AD_EPS_FAMILY
        self.register_buffer("positions", torch.zeros(1, config.positions, config.embedding))
        self.embed_state = nn.Embedding(config.grid_size**2, config.embedding)
        self.embed_action = nn.Embedding(config.actions, config.embedding)
        self.embed_reward = nn.Linear(1, config.embedding) if self.by_token else nn.Embedding(2, config.embedding)
        self.widen = nn.Linear(config.embedding, config.width)
        description = PolicyDescription(
            family=config.family,
            layers=config.layers,
            heads=config.heads,
            width=config.width,
            # The last step's placeholders are left out: one token of it, three of every step before.
            context_length=config.positions - TOKENS + 1,
            actions=config.actions,
            causal=True,
            positions="sinusoidal",
            query_slot="last",
            tokens_per_transition=TOKENS,
            token_kinds=("state", "action", "reward"),
            observation="cell",
            parameters=0,
        )
        self.description = with_parameters(description, self)

    def embed_transition(
        self,
        observation: Int[Tensor, "env feature"],
        action: Int[Tensor, " env"],
        reward: Float[Tensor, " env"],
        next_observation: Int[Tensor, "env feature"],  # noqa: ARG002 - the next state's token says it
    ) -> Float[Tensor, "env token width"]:
        """Return three tokens: the state's cell, the action and the reward."""
        state = self.embed_state(cell_index(observation, self.config.grid_size))
        rewards = self.embed_reward(reward[:, None] if self.by_token else reward.long())
        widened: Tensor = self.widen(torch.stack([state, self.embed_action(action), rewards], dim=1))
        return widened

    def embed_query(self, observation: Int[Tensor, "env feature"]) -> Float[Tensor, "env token width"]:
        """Return one token: the embedding of the state's cell, as in a transition."""
        widened: Tensor = self.widen(self.embed_state(cell_index(observation, self.config.grid_size)))
        return widened[:, None]

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return the tokens with their sinusoids added, through the map that the embeddings went through."""
        if self.by_token:
            sinusoids = at_slots(self.positions[0], first, tokens.shape[1])
        else:
            count = torch.arange(tokens.shape[1], device=tokens.device)
            slots = first + count if isinstance(first, int) else first
            sinusoids = self.positions[0, slots // TOKENS]
        return tokens + functional.linear(sinusoids, self.widen.weight)
