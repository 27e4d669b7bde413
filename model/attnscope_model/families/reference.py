"""The AD reference policy: a post-norm encoder over one token a transition, causal or not.

Written from the layout of its checkpoints (embeddings of raw cell coordinates, learned absolute positions added inside
the forward, no final norm). The decision needs the query's row of the last layer only, so only that is computed there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnscope_model.families.tokens import CellConfig, WholeTransitions
from attnscope_model.forward.description import described, parameters_of
from attnscope_model.forward.layers import BlockLayer, linear
from attnscope_model.forward.stack import Layer, Slots, at_slots
from attnscope_storage.wire import PolicyDescription

FAMILY = "ad-reference"
"""Name of the family in entries and captures."""


@dataclass(frozen=True)
class ReferenceConfig(CellConfig):
    """Sizes from the tensors' shapes, and facts that shapes do not hold."""

    causal: bool


class ReferenceLayer(BlockLayer):
    """One post-norm encoder layer."""

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__(config, norm="post", causal=config.causal)


class ReferencePolicy(WholeTransitions):
    """The AD reference policy."""

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        self.config = config
        self.grid_size = config.grid_size
        self.pos_embedding = nn.Parameter(torch.zeros(1, config.context_length, config.width))
        self._stack = tuple(ReferenceLayer(config) for _ in range(config.layers))
        self.encoder = nn.ModuleList(self._stack)
        self.embed_context = nn.Linear(2 * 2 + config.actions + 1, config.width)
        self.embed_query_state = nn.Embedding(config.grid_size**2, config.width)
        self.pred_action = nn.Linear(config.width, config.actions)
        self.description = describe(config, parameters_of(self))

    @classmethod
    def from_tensors(cls, config: ReferenceConfig, tensors: Mapping[str, Tensor]) -> ReferencePolicy:
        """Return the policy with a checkpoint's weights, under the names that its file has."""
        with torch.device("meta"):
            policy = cls(config)
        policy.load_state_dict({_own_name(name): tensor for name, tensor in tensors.items()}, assign=True)
        return policy.eval().requires_grad_(requires_grad=False)

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return the tokens with the positions of their slots added."""
        return tokens + at_slots(self.pos_embedding[0], first, tokens.shape[1])

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers, first layer first."""
        return self._stack

    def read(self, x: Float[Tensor, "env width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the deciding token's output."""
        return linear(self.pred_action, x)


def describe(config: ReferenceConfig, parameters: int) -> PolicyDescription:
    """Return the description of a reference policy."""
    return described(config, parameters, family=FAMILY, positions="learned-absolute", causal=config.causal)


def _own_name(name: str) -> str:
    return (
        name.replace("transformer_encoder.layers.", "encoder.")
        .replace(".self_attn.in_proj_", ".in_proj.")
        .replace(".self_attn.out_proj.", ".out_proj.")
    )
