"""The two families on GPT-2 blocks: three tokens a transition (RAD_dark, Flow_AD) and the query first (DPT).

Pre-norm, GELU by tanh, learned absolute positions, a final norm. Neither uses GPT-2's own token table.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.families.headed import HeadedStack
from attnscope_model.families.tokens import STATE_ACTION_REWARD, CellConfig, StateActionReward
from attnscope_model.forward.description import described, parameters_of
from attnscope_model.forward.layers import BlockLayer
from attnscope_model.forward.stack import Slots, at_slots

RAD_FAMILY = "rad-dark-ad"
DPT_FAMILY = "dpt"
"""Names of the families in entries and captures."""


@dataclass(frozen=True)
class DptConfig:
    """Sizes from the tensors' shapes, and facts that shapes do not hold."""

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


class Gpt2Policy(HeadedStack):
    """GPT-2's stack with learned positions, whatever its tokens."""

    def __init__(self, config: CellConfig | DptConfig, positions: int) -> None:
        layers = (BlockLayer(config, norm="pre", gelu="tanh") for _ in range(config.layers))
        super().__init__(layers, config, final_norm=True)
        self.positions = nn.Parameter(torch.zeros(positions, config.width))

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return the tokens with the positions of their slots added."""
        return tokens + at_slots(self.positions, first, tokens.shape[1])


class RadPolicy(StateActionReward, Gpt2Policy):
    """The AD policy of RAD_dark and Flow_AD: state, action and reward are tokens of their own, the state decides."""

    def __init__(self, config: CellConfig) -> None:
        super().__init__(config, config.context_length)
        self.grid_size = config.grid_size
        self.embed_state = nn.Embedding(config.grid_size**2, config.width)
        self.embed_action = nn.Embedding(config.actions, config.width)
        self.embed_reward = nn.Linear(1, config.width)
        self.widen = nn.Identity()
        self.description = described(
            config,
            parameters_of(self),
            family=RAD_FAMILY,
            positions="learned-absolute",
            token_kinds=STATE_ACTION_REWARD,
        )


class DptPolicy(Gpt2Policy):
    """The decision-pretrained transformer: the query is the first token, and the last token's output decides."""

    def __init__(self, config: DptConfig) -> None:
        super().__init__(config, config.positions)
        self.config = config
        self.embed_transition_parts = nn.Linear(2 * config.features + config.actions + 1, config.width)
        self.description = described(
            config, parameters_of(self), family=DPT_FAMILY, positions="learned-absolute", query_slot="first"
        )

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
