"""The native AD policy: a pre-norm causal decoder over one token a transition, with learned or rotary positions.

A token is a sum of embeddings, one table a coordinate: a row and a column of their own rather than a table of cells,
which memorises the goals it was trained on. The query has its own tables and stands last; the finished transition
takes its place. A longer history than the context is cut to its newest transitions and computed afresh at every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.attention import TapedAttention
from attnscope_model.stack import Layer, Slots, StackedPolicy, at_slots
from attnscope_storage.wire import PolicyDescription

FAMILY = "ad-native"
"""Name of the family in entries and captures."""

ROTARY_BASE = 10_000.0
"""Base of the rotary frequencies (Su et al., 2021)."""

CELL_FEATURES = 2
"""Features of an observation that is a cell: its row and its column."""

Positions = Literal["learned-absolute", "rotary"]


@dataclass(frozen=True)
class ADConfig:
    """The shape of a native AD policy."""

    features: tuple[int, ...]
    """Values that each observation feature can take, e.g. (9, 9) for a cell of a 9×9 room."""
    actions: int
    context_length: int
    """Tokens of a full context, the query among them; older transitions are dropped and positions start at 0 anew."""
    positions: Positions = "learned-absolute"
    width: int = 64
    layers: int = 3
    heads: int = 4
    feedforward: int = 256
    window: Literal["truncated recompute"] = "truncated recompute"
    """What becomes of a history longer than the context: its newest transitions are computed afresh at every step."""

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        if self.positions not in ("learned-absolute", "rotary"):
            raise TypeError(f"expected positions learned-absolute or rotary, got {self.positions!r}")
        if self.width % self.heads or (self.positions == "rotary" and self.width // self.heads % 2):
            raise TypeError(f"expected heads of whole, even size, got width {self.width} over {self.heads} heads")
        object.__setattr__(self, "features", tuple(self.features))


class ADLayer(Layer):
    """One pre-norm layer: x += W attention(LN x), x += W₂ gelu(W₁ LN x)."""

    def __init__(self, config: ADConfig) -> None:
        super().__init__()
        d = config.width
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(d)
        self.in_proj = nn.Linear(d, 3 * d)
        self.out_proj = nn.Linear(d, d)
        self.norm2 = nn.LayerNorm(d)
        self.linear1 = nn.Linear(d, config.feedforward)
        self.linear2 = nn.Linear(config.feedforward, d)
        self.rotates = config.positions == "rotary"
        self.attention = TapedAttention(causal=True)
        # On the CPU even where a checkpoint's policy is first built without memory: tables come from no file.
        none = torch.zeros(0, 0, device="cpu")
        angles = rotary_angles(config.context_length, d // config.heads) if self.rotates else none
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.cos: Tensor
        self.sin: Tensor

    def project(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values."""
        queries, keys, values = self._projected(x, self.in_proj.weight, self.in_proj.bias)
        return self._rotated(queries, first), self._rotated(keys, first), values

    def query(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env head token size"]:
        """Return the queries alone."""
        d = x.shape[-1]
        return self._rotated(self._projected(x, self.in_proj.weight[:d], self.in_proj.bias[:d])[0], first)

    def memory(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> tuple[Tensor, Tensor]:
        """Return the keys and values alone."""
        d = x.shape[-1]
        keys, values = self._projected(x, self.in_proj.weight[d:], self.in_proj.bias[d:])
        return self._rotated(keys, first), values

    def finish(self, x: Tensor, attended: Float[Tensor, "env head token size"]) -> Float[Tensor, "env token width"]:
        """Return the output of tokens whose attended values are given."""
        x = x + _linear(self.out_proj, attended.transpose(1, 2).flatten(2))
        return x + _linear(self.linear2, functional.gelu(_linear(self.linear1, _normed(self.norm2, x))))

    def output(self) -> Float[Tensor, "width joined"]:
        """Return the output map's weight."""
        return self.out_proj.weight

    def turned(self, x: Float[Tensor, "env head token size"], first: Slots) -> Float[Tensor, "env head token size"]:
        """Return queries or keys of slot 0 as those of other slots, also beyond a context's."""
        end = first + x.shape[2] if isinstance(first, int) else int(first.max()) + 1
        if self.rotates and end > len(self.cos):
            angles = rotary_angles(2 * end, 2 * self.cos.shape[1])
            self.cos, self.sin = angles.cos().to(self.cos.device), angles.sin().to(self.sin.device)
        return self._rotated(x, first)

    def _projected(self, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        """Return the projections of the normalised tokens by stacked weights, each [env, head, token, size]."""
        envs, tokens, width = x.shape
        stacked = functional.linear(_normed(self.norm1, x), weight, bias)
        return stacked.view(envs, tokens, -1, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind()

    def _rotated(self, x: Float[Tensor, "env head token size"], first: Slots) -> Float[Tensor, "env head token size"]:
        """Return queries or keys turned by their slots' angles, or as they are."""
        if not self.rotates:
            return x
        cos, sin = (at_slots(table, first, x.shape[2]).unsqueeze(-3) for table in (self.cos, self.sin))
        left, right = x.chunk(2, dim=-1)
        return torch.cat([left * cos - right * sin, left * sin + right * cos], dim=-1)


def rotary_angles(slots: int, size: int) -> Float[Tensor, "slot half"]:
    """Return the angle, in radians, by which each slot turns each pair of a head's dimensions (i, i + size/2)."""
    frequencies = ROTARY_BASE ** (-torch.arange(0, size, 2, device="cpu") / size)
    return torch.arange(slots, device="cpu")[:, None] * frequencies


class ADPolicy(StackedPolicy):
    """The native AD policy."""

    def __init__(self, config: ADConfig) -> None:
        super().__init__()
        self.config = config
        d = config.width
        self.state = nn.ModuleList(nn.Embedding(size, d) for size in config.features)
        self.action = nn.Embedding(config.actions, d)
        self.reward = nn.Parameter(torch.zeros(d))
        self.next_state = nn.ModuleList(nn.Embedding(size, d) for size in config.features)
        self.query_state = nn.ModuleList(nn.Embedding(size, d) for size in config.features)
        absolute = config.positions == "learned-absolute"
        self.position = nn.Parameter(torch.zeros(config.context_length, d)) if absolute else None
        self._stack = tuple(ADLayer(config) for _ in range(config.layers))
        self.decoder = nn.ModuleList(self._stack)
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, config.actions)
        self.description = describe(config, sum(p.numel() for p in self.parameters()))

    @classmethod
    def from_tensors(cls, config: ADConfig, tensors: Mapping[str, Tensor]) -> ADPolicy:
        """Return the frozen policy with these weights; half-precision files are computed in float32."""
        with torch.device("meta"):
            policy = cls(config)
        policy.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
        return policy.eval().requires_grad_(requires_grad=False)

    def embed_transition(
        self,
        observation: Int[Tensor, "env feature"],
        action: Int[Tensor, " env"],
        reward: Float[Tensor, " env"],
        next_observation: Int[Tensor, "env feature"],
    ) -> Float[Tensor, "env token width"]:
        """Return one token: the sum of the embeddings of s, a and s', and of r times a vector."""
        embedded: Tensor = self.action(action) + reward[:, None] * self.reward
        return (embedded + _summed(self.state, observation) + _summed(self.next_state, next_observation))[:, None]

    def embed_query(self, observation: Int[Tensor, "env feature"]) -> Float[Tensor, "env token width"]:
        """Return one token: the sum of the embeddings of the query's features."""
        return _summed(self.query_state, observation)[:, None]

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return the tokens with the learned positions of their slots added, if they are not rotary."""
        return tokens if self.position is None else tokens + at_slots(self.position, first, tokens.shape[1])

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers, first layer first."""
        return self._stack

    def read(self, x: Float[Tensor, "env width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the deciding token's output."""
        return _linear(self.head, _normed(self.norm, x))


def build(config: dict[str, Any], tensors: Mapping[str, Tensor]) -> ADPolicy:
    """Return the policy of a stored configuration with these weights."""
    return ADPolicy.from_tensors(ADConfig(**config), tensors)


def stored_config(config: ADConfig) -> dict[str, Any]:
    """Return a configuration as `build` and a checkpoint's config.json take it."""
    return {"family": FAMILY, **asdict(config), "features": list(config.features)}


def describe(config: ADConfig, parameters: int) -> PolicyDescription:
    """Return the description of a native AD policy."""
    return PolicyDescription(
        family=FAMILY,
        layers=config.layers,
        heads=config.heads,
        width=config.width,
        context_length=config.context_length,
        actions=config.actions,
        causal=True,
        positions=config.positions,
        query_slot="last",
        tokens_per_transition=1,
        observation="cell" if len(config.features) == CELL_FEATURES else "vector",
        parameters=parameters,
    )


def _summed(tables: nn.ModuleList, observation: Int[Tensor, "env feature"]) -> Float[Tensor, "env width"]:
    return torch.stack([table(observation[:, i]) for i, table in enumerate(tables)]).sum(dim=0)


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return functional.linear(x, layer.weight, layer.bias)


def _normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return torch.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
