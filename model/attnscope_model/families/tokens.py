"""Tokens of the families that see cells: one a transition, or one each for state, action and reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.forward.stack import StackedPolicy

STATE_ACTION_REWARD: Final = ("state", "action", "reward")
"""Kinds of a transition's tokens where there are three."""


@dataclass(frozen=True)
class CellConfig:
    """The configuration of a policy in a square room: the sizes that the shapes say, and the facts that they do not."""

    width: int
    layers: int
    heads: int
    context_length: int
    feedforward: int
    grid_size: int
    actions: int


class WholeTransitions(StackedPolicy):
    """A policy whose transition is one token, a linear map of (s, one-hot a, r, s'), and whose query is a cell's."""

    grid_size: int
    """Rows and columns of the room."""
    embed_context: nn.Linear
    embed_query_state: nn.Embedding

    def embed_transition(
        self,
        observation: Int[Tensor, "env feature"],
        action: Int[Tensor, " env"],
        reward: Float[Tensor, " env"],
        next_observation: Int[Tensor, "env feature"],
    ) -> Float[Tensor, "env token width"]:
        """Return one token: a linear map of (s, one-hot a, r, s')."""
        one_hot = functional.one_hot(action, self.description.actions)
        parts = [observation, one_hot, reward[:, None], next_observation]
        embedded: Tensor = self.embed_context(torch.cat([part.float() for part in parts], dim=1))
        return embedded[:, None]

    def embed_query(self, observation: Int[Tensor, "env feature"]) -> Float[Tensor, "env token width"]:
        """Return one token: the embedding of the query's cell."""
        embedded: Tensor = self.embed_query_state(cell_index(observation, self.grid_size))
        return embedded[:, None]


class StateActionReward(StackedPolicy):
    """A policy whose transition is three tokens, and whose query is a state's."""

    grid_size: int
    """Rows and columns of the room."""
    embed_state: nn.Embedding
    embed_action: nn.Embedding
    embed_reward: nn.Linear | nn.Embedding
    """Of the reward as a number, or as 0 or 1."""
    widen: nn.Module
    """From the embeddings' width to the stack's."""

    def embed_transition(
        self,
        observation: Int[Tensor, "env feature"],
        action: Int[Tensor, " env"],
        reward: Float[Tensor, " env"],
        next_observation: Int[Tensor, "env feature"],  # noqa: ARG002 - the next state's token says it
    ) -> Float[Tensor, "env token width"]:
        """Return three tokens: the state's cell, the action and the reward."""
        state = self.embed_state(cell_index(observation, self.grid_size))
        number = isinstance(self.embed_reward, nn.Linear)
        rewards = self.embed_reward(reward[:, None] if number else reward.long())
        widened: Tensor = self.widen(torch.stack([state, self.embed_action(action), rewards], dim=1))
        return widened

    def embed_query(self, observation: Int[Tensor, "env feature"]) -> Float[Tensor, "env token width"]:
        """Return one token: the embedding of the state's cell, as in a transition."""
        widened: Tensor = self.widen(self.embed_state(cell_index(observation, self.grid_size)))
        return widened[:, None]


def cell_index(observation: Tensor, grid_size: int) -> Tensor:
    """Return the number of each cell (row, column), row by row."""
    return observation[:, 0] * grid_size + observation[:, 1]
