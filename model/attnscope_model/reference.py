"""The AD reference policy: a post-norm encoder over one token a transition, causal or not.

Written from the layout of its checkpoints (embeddings of raw cell coordinates, learned absolute positions added inside
the forward, no final norm). The decision needs the query's row of the last layer only, so only that is computed there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.attention import TapedAttention
from attnscope_model.stack import Layer, Slots, StackedPolicy, at_slots
from attnscope_storage.wire import PolicyDescription

FAMILY = "ad-reference"
"""Name of the family in entries and captures."""


@dataclass(frozen=True)
class ReferenceConfig:
    """What the tensors' shapes do not say, and what they do."""

    width: int
    layers: int
    heads: int
    context_length: int
    feedforward: int
    grid_size: int
    actions: int
    causal: bool


class ReferenceLayer(Layer):
    """One post-norm encoder layer: x = LN(x + attention), x = LN(x + W₂ gelu(W₁ x))."""

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        d = config.width
        self.heads = config.heads
        self.in_proj = nn.Linear(d, 3 * d)
        self.out_proj = nn.Linear(d, d)
        self.linear1 = nn.Linear(d, config.feedforward)
        self.linear2 = nn.Linear(config.feedforward, d)
        self.norm1 = nn.LayerNorm(d)
        self.norm2 = nn.LayerNorm(d)
        self.attention = TapedAttention(causal=config.causal)

    def project(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ARG002 - positions are added before the layers
        """Return queries, keys and values."""
        queries, keys, values = self._projected(x, self.in_proj.weight, self.in_proj.bias)
        return queries, keys, values

    def query(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env head token size"]:  # noqa: ARG002 - as above
        """Return the queries alone."""
        d = x.shape[-1]
        return self._projected(x, self.in_proj.weight[:d], self.in_proj.bias[:d])[0]

    def memory(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - as above
        """Return the keys and values alone."""
        d = x.shape[-1]
        keys, values = self._projected(x, self.in_proj.weight[d:], self.in_proj.bias[d:])
        return keys, values

    def _projected(self, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        """Return the projections by stacked weights, each [env, head, token, size]."""
        envs, tokens, width = x.shape
        stacked = functional.linear(x, weight, bias).view(envs, tokens, -1, self.heads, width // self.heads)
        return stacked.permute(2, 0, 3, 1, 4).unbind()

    def finish(self, x: Tensor, attended: Float[Tensor, "env head token size"]) -> Float[Tensor, "env token width"]:
        """Return the output of tokens whose attended values are given."""
        # Functions rather than modules: at one environment the calls would cost as much as the arithmetic. Residuals
        # are added in place: new memory at every layer costs more than the sum.
        joined = attended.transpose(1, 2).flatten(2)
        x = _normed(self.norm1, _linear(self.out_proj, joined).add_(x))
        return _normed(self.norm2, _linear(self.linear2, functional.gelu(_linear(self.linear1, x))).add_(x))

    def output(self) -> Float[Tensor, "width joined"]:
        """Return the output map's weight."""
        return self.out_proj.weight


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return functional.linear(x, layer.weight, layer.bias)


def _normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return torch.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


class ReferencePolicy(StackedPolicy):
    """The AD reference policy."""

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        self.config = config
        self.pos_embedding = nn.Parameter(torch.zeros(1, config.context_length, config.width))
        self._stack = tuple(ReferenceLayer(config) for _ in range(config.layers))
        self.encoder = nn.ModuleList(self._stack)
        self.embed_context = nn.Linear(2 * 2 + config.actions + 1, config.width)
        self.embed_query_state = nn.Embedding(config.grid_size**2, config.width)
        self.pred_action = nn.Linear(config.width, config.actions)
        self.description = describe(config, sum(p.numel() for p in self.parameters()))

    @classmethod
    def from_tensors(cls, config: ReferenceConfig, tensors: Mapping[str, Tensor]) -> ReferencePolicy:
        """Return the policy with a checkpoint's weights, under the names that its file has."""
        with torch.device("meta"):
            policy = cls(config)
        policy.load_state_dict({_own_name(name): tensor for name, tensor in tensors.items()}, assign=True)
        return policy.eval().requires_grad_(requires_grad=False)

    def embed_transition(
        self,
        observation: Int[Tensor, "env feature"],
        action: Int[Tensor, " env"],
        reward: Float[Tensor, " env"],
        next_observation: Int[Tensor, "env feature"],
    ) -> Float[Tensor, "env token width"]:
        """Return one token: a linear map of (s, one-hot a, r, s')."""
        one_hot = functional.one_hot(action, self.config.actions)
        parts = [observation, one_hot, reward[:, None], next_observation]
        embedded: Tensor = self.embed_context(torch.cat([part.float() for part in parts], dim=1))
        return embedded[:, None]

    def embed_query(self, observation: Int[Tensor, "env feature"]) -> Float[Tensor, "env token width"]:
        """Return one token: the embedding of the query's cell."""
        cell = observation[:, 0] * self.config.grid_size + observation[:, 1]
        embedded: Tensor = self.embed_query_state(cell)
        return embedded[:, None]

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return the tokens with the positions of their slots added."""
        return tokens + at_slots(self.pos_embedding[0], first, tokens.shape[1])

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers, first layer first."""
        return self._stack

    def read(self, x: Float[Tensor, "env width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the deciding token's output."""
        return _linear(self.pred_action, x)


def describe(config: ReferenceConfig, parameters: int) -> PolicyDescription:
    """Return the description of a reference policy."""
    return PolicyDescription(
        family=FAMILY,
        layers=config.layers,
        heads=config.heads,
        width=config.width,
        context_length=config.context_length,
        actions=config.actions,
        causal=config.causal,
        positions="learned-absolute",
        query_slot="last",
        tokens_per_transition=1,
        observation="cell",
        parameters=parameters,
    )


def _own_name(name: str) -> str:
    return (
        name.replace("transformer_encoder.layers.", "encoder.")
        .replace(".self_attn.in_proj_", ".in_proj.")
        .replace(".self_attn.out_proj.", ".out_proj.")
    )
