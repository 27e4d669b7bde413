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
from attnscope_model.policy import Policy
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


class ReferenceLayer(nn.Module):
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

    def forward(self, x: Float[Tensor, "env token width"]) -> Float[Tensor, "env token width"]:
        """Return every token's output."""
        queries, keys, values = self._project(x, self.in_proj.weight, self.in_proj.bias)
        return self._after(x, self.attention.attend(queries, keys, values))

    def decide(self, x: Float[Tensor, "env token width"]) -> Float[Tensor, "env 1 width"]:
        """Return the last token's output."""
        d = x.shape[-1]
        weight, bias = self.in_proj.weight, self.in_proj.bias
        keys, values = self._project(x, weight[d:], bias[d:])
        (query,) = self._project(x[:, -1:], weight[:d], bias[:d])
        tape = self.attention.tape
        if tape is not None and tape.with_maps:
            (every,) = self._project(x, weight[:d], bias[:d])
            query = torch.cat([every[:, :, :-1], query], dim=2)  # the deciding query keeps its bits
        return self._after(x[:, -1:], self.attention.decide(query, keys, values))

    def _project(self, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        """Return the projections by stacked weights, each [env, head, token, size]."""
        envs, tokens, width = x.shape
        stacked = functional.linear(x, weight, bias).view(envs, tokens, -1, self.heads, width // self.heads)
        return stacked.permute(2, 0, 3, 1, 4).unbind()

    def _after(self, x: Tensor, attended: Float[Tensor, "env head token size"]) -> Tensor:
        # Functions rather than modules: at one environment the calls would cost as much as the arithmetic.
        joined = attended.transpose(1, 2).flatten(2)
        x = _normed(self.norm1, x + _linear(self.out_proj, joined))
        return _normed(self.norm2, x + _linear(self.linear2, functional.gelu(_linear(self.linear1, x))))


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return functional.linear(x, layer.weight, layer.bias)


def _normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return torch.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


class ReferencePolicy(Policy):
    """The AD reference policy."""

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        self.config = config
        self.pos_embedding = nn.Parameter(torch.zeros(1, config.context_length, config.width))
        self._layers = tuple(ReferenceLayer(config) for _ in range(config.layers))
        self.layers = nn.ModuleList(self._layers)
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

    def forward(self, tokens: Float[Tensor, "env token width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the query, the last token."""
        x = tokens + self.pos_embedding[:, : tokens.shape[1]]
        *first, last = self._layers
        for layer in first:
            x = layer.forward(x)
        return _linear(self.pred_action, last.decide(x)[:, 0])

    def attentions(self) -> list[TapedAttention]:
        """Return the attention of every layer."""
        return [layer.attention for layer in self._layers]


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
        name.replace("transformer_encoder.layers.", "layers.")
        .replace(".self_attn.in_proj_", ".in_proj.")
        .replace(".self_attn.out_proj.", ".out_proj.")
    )
