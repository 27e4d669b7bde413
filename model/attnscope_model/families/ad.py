"""The native AD policy: a pre-norm causal decoder over one token a transition.

Its positions are learned, rotary, or nothing but an addition to scores by distance (ALiBi's, or a learnt one).

A token is a sum of embeddings, one table a coordinate: a row and a column of their own rather than a table of cells,
which memorises the goals it was trained on. The query has its own tables and stands last; the finished transition
takes its place. A longer history than the context is cut to its newest transitions and computed afresh at every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnscope_model.forward.description import described, parameters_of
from attnscope_model.forward.distances import Alibi, DistanceBias, LearntBias
from attnscope_model.forward.layers import BlockLayer, Rotation, linear, normed
from attnscope_model.forward.stack import Layer, Slots, StackedPolicy, at_slots

FAMILY = "ad-native"
"""Name of the family in entries and captures."""

ROTARY_BASE = 10_000.0
"""Base of the rotary frequencies (Su et al., 2021)."""

CELL_FEATURES = 2
"""Features of an observation that is a cell: its row and its column."""

Positions = Literal["learned-absolute", "rotary", "alibi", "relative"]


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
    """The treatment of a history longer than the context: its newest transitions are computed afresh at every step."""
    clock_steps: int = 0
    """Steps of an episode, where every token knows its step of the episode; 0: none does."""
    clock_episodes: int = 0
    """Episodes after which their count begins anew, where every token knows its episode's; 0: none does."""

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        if self.positions not in get_args(Positions):
            raise TypeError(f"expected positions {', '.join(get_args(Positions))}, got {self.positions!r}")
        if self.width % self.heads or (self.positions == "rotary" and self.width // self.heads % 2):
            raise TypeError(f"expected heads of whole, even size, got width {self.width} over {self.heads} heads")
        if self.clock_steps < 0 or self.clock_episodes < 0 or (self.clock_episodes and not self.clock_steps):
            raise TypeError(
                f"expected a clock of steps, and of episodes beside them, got {self.clock_steps} steps and "
                f"{self.clock_episodes} episodes"
            )
        object.__setattr__(self, "features", tuple(self.features))


class ADLayer(BlockLayer):
    """One pre-norm layer, which turns queries and keys where positions are rotary."""

    def __init__(self, config: ADConfig, rotation: Rotation | None, bias: DistanceBias | None) -> None:
        super().__init__(config, norm="pre", rotation=rotation, bias=bias)


def rotary_angles(slots: int, size: int) -> Float[Tensor, "slot half"]:
    """Return the angle, in radians, by which each slot turns each pair of a head's dimensions (i, i + size/2)."""
    frequencies = ROTARY_BASE ** (-torch.arange(0, size, 2) / size)
    return torch.arange(slots)[:, None] * frequencies


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
        steps, episodes = config.clock_steps, config.clock_episodes
        self.clock_step = nn.Embedding(steps, d) if steps else None
        self.clock_episode = nn.Embedding(episodes, d) if episodes else None
        absolute = config.positions == "learned-absolute"
        self.position = nn.Parameter(torch.zeros(config.context_length, d)) if absolute else None
        rotary = config.positions == "rotary"
        rotation = Rotation(rotary_angles, config.context_length, d // config.heads) if rotary else None
        self.distances = _distances(config)
        self._stack = tuple(ADLayer(config, rotation, self.distances) for _ in range(config.layers))
        self.decoder = nn.ModuleList(self._stack)
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, config.actions)
        self.description = described(
            config,
            parameters_of(self),
            family=FAMILY,
            positions=config.positions,
            observation="cell" if len(config.features) == CELL_FEATURES else "vector",
        ).model_copy(update={"clock_steps": steps, "clock_episodes": episodes})

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

    def stamp(
        self, tokens: Float[Tensor, "env token width"], transition: int | Int[Tensor, " env"]
    ) -> Float[Tensor, "env token width"]:
        """Return the tokens with the step of the episode added, and the episode's number, where the policy has a clock.

        Both follow from the transition index, since every episode has as many steps as the clock.
        """
        if self.clock_step is None:
            return tokens
        number = torch.as_tensor(transition, device=tokens.device)
        time: Tensor = self.clock_step(number % self.config.clock_steps)
        if self.clock_episode is not None:
            time = time + self.clock_episode(number // self.config.clock_steps % self.config.clock_episodes)
        return tokens + time.view(-1, 1, tokens.shape[-1])

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return the tokens, with the positions of their slots added where these are learned."""
        return tokens if self.position is None else tokens + at_slots(self.position, first, tokens.shape[1])

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers, first layer first."""
        return self._stack

    def read(self, x: Float[Tensor, "env width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the deciding token's output."""
        return linear(self.head, normed(self.norm, x))


def build(config: dict[str, Any], tensors: Mapping[str, Tensor]) -> ADPolicy:
    """Return the policy of a stored configuration with these weights."""
    return ADPolicy.from_tensors(ADConfig(**config), tensors)


def stored_config(config: ADConfig) -> dict[str, Any]:
    """Return a configuration as `build` and a checkpoint's config.json take it."""
    values = asdict(config)
    if not config.clock_steps:  # older configurations have no clock, and keep their bytes
        del values["clock_steps"], values["clock_episodes"]
    return {"family": FAMILY, **values, "features": list(config.features)}


def _distances(config: ADConfig) -> DistanceBias | None:
    match config.positions:
        case "alibi":
            return Alibi(config.heads)
        case "relative":
            return LearntBias(config.heads, config.context_length)
        case _:
            return None


def _summed(tables: nn.ModuleList, observation: Int[Tensor, "env feature"]) -> Float[Tensor, "env width"]:
    return torch.stack([table(observation[:, i]) for i, table in enumerate(tables)]).sum(dim=0)
