"""The two families on GPT-2 blocks: three tokens a transition (RAD_dark, Flow_AD) and the query first (DPT).

Pre-norm, GELU by tanh, learned absolute positions, a final norm. Neither uses GPT-2's own token table.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.families.block import BlockPolicy, BlockShape, cell_index, with_parameters
from attnscope_model.stack import Slots, at_slots
from attnscope_storage.wire import PolicyDescription

RAD_FAMILY = "rad-dark-ad"
DPT_FAMILY = "dpt"
"""Names of the families in entries and captures."""


@dataclass(frozen=True)
class RadConfig:
    """What the tensors' shapes do not say, and what they do."""

    width: int
    layers: int
    heads: int
    context_length: int
    feedforward: int
    grid_size: int
    actions: int


class Gpt2Policy(BlockPolicy):
    """GPT-2's stack with learned positions, whatever its tokens."""

    def __init__(self, config: RadConfig | DptConfig, positions: int) -> None:
        shape = BlockShape(
            config.width, config.layers, config.heads, config.feedforward, "pre", gelu="tanh", final_norm=True
        )
        super().__init__(shape, config.actions)
        self.positions = nn.Parameter(torch.zeros(positions, config.width))

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return the tokens with the positions of their slots added."""
        return tokens + at_slots(self.positions, first, tokens.shape[1])


class RadPolicy(Gpt2Policy):
    """The AD policy of RAD_dark and Flow_AD: state, action and reward are tokens of their own, the state decides."""

    def __init__(self, config: RadConfig) -> None:
        super().__init__(config, config.context_length)
        self.config = config
        self.embed_state = nn.Embedding(config.grid_size**2, config.width)
        self.embed_action = nn.Embedding(config.actions, config.width)
        self.embed_reward = nn.Linear(1, config.width)
        description = PolicyDescription(
            family=RAD_FAMILY,
            layers=config.layers,
            heads=config.heads,
            width=config.width,
            context_length=config.context_length,
            actions=config.actions,
            causal=True,
            positions="learned-absolute",
            query_slot="last",
            tokens_per_transition=3,
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
        return torch.stack([state, self.embed_action(action), self.embed_reward(reward[:, None])], dim=1)

    def embed_query(self, observation: Int[Tensor, "env feature"]) -> Float[Tensor, "env token width"]:
        """Return one token: the embedding of the state's cell, as in a transition."""
        embedded: Tensor = self.embed_state(cell_index(observation, self.config.grid_size))
        return embedded[:, None]


@dataclass(frozen=True)
class DptConfig:
    """What the tensors' shapes do not say, and what they do."""

    width: int
    layers: int
    heads: int
    context_length: int
    feedforward: int
    features: int
    """Numbers of an observation."""
    actions: int
    positions: int
    """Rows of the position table; a context uses the first quarter."""


class DptPolicy(Gpt2Policy):
    """The decision-pretrained transformer: the query is the first token, and the last token's output decides."""

    def __init__(self, config: DptConfig) -> None:
        super().__init__(config, config.positions)
        self.config = config
        self.embed_transition_parts = nn.Linear(2 * config.features + config.actions + 1, config.width)
        description = PolicyDescription(
            family=DPT_FAMILY,
            layers=config.layers,
            heads=config.heads,
            width=config.width,
            context_length=config.context_length,
            actions=config.actions,
            causal=True,
            positions="learned-absolute",
            query_slot="first",
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
        """Return one token: a linear map of (s, one-hot a, s', r), in that order."""
        one_hot = functional.one_hot(action, self.config.actions)
        parts = torch.cat([part.float() for part in (observation, one_hot, next_observation, reward[:, None])], dim=1)
        embedded: Tensor = self.embed_transition_parts(parts)
        return embedded[:, None]

    def embed_query(self, observation: Int[Tensor, "env feature"]) -> Float[Tensor, "env token width"]:
        """Return one token: the same map of (s, 0, 0, 0)."""
        padded = functional.pad(observation.float(), (0, self.config.features + self.config.actions + 1))
        embedded: Tensor = self.embed_transition_parts(padded)
        return embedded[:, None]
