"""cleanrl's Transformer-XL policy: one query a step over a memory of the layers' earlier inputs.

The present step is never a key. At an episode's first step the memory holds nothing: the original attends evenly to
empty places, and here all of that row stands on the query's own slot, which is 0 at every later step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.errors import CaptureInvalidError
from attnscope_model.families.observed import refuse_other
from attnscope_model.forward.description import parameters_of
from attnscope_model.forward.remembering import RollingPolicy, newest_weights
from attnscope_storage.wire import OutputDescription, PolicyDescription
from attnscope_storage.wire.policies import PositionKind

FAMILY = "trxl-cleanrl"
"""Name of the family in entries and captures."""

POSITIONS: Final[dict[str, PositionKind]] = {"absolute": "sinusoidal", "learned": "learned-absolute", "": "none"}
"""Encodings of the trainer, as a policy's description names them."""


@dataclass(frozen=True)
class TrxlConfig:
    """Sizes from the tensors' shapes, and facts of the training's arguments."""

    width: int
    layers: int
    heads: int
    context_length: int
    """Places of the memory: past steps, and one for the query, which is no key."""
    features: int
    """Numbers of an observation."""
    actions: int
    encoding: Literal["absolute", "learned", ""]
    """Positions of memory: sinusoids that count down from an episode's longest length, a table, or none."""
    episode_steps: int
    """Steps of the longest episode."""
    branches: tuple[int, ...] = ()
    """Sizes of the independent choices that make one action; empty where there is one."""


class TrxlLayer(nn.Module):
    """One layer: x = x + attention(LN(x); LN(memory)), x = x + relu(W LN(x))."""

    def __init__(self, config: TrxlConfig) -> None:
        super().__init__()
        d, size = config.width, config.width // config.heads
        self.heads = config.heads
        self.values = nn.Linear(size, size, bias=False)
        self.keys = nn.Linear(size, size, bias=False)
        self.queries = nn.Linear(size, size, bias=False)
        self.joined = nn.Linear(d, d)
        self.norm_query = nn.LayerNorm(d)
        self.norm_memory = nn.LayerNorm(d)
        self.norm_after = nn.LayerNorm(d)
        self.forth = nn.Linear(d, d)

    def step(
        self,
        x: Float[Tensor, "env width"],
        memory: Float[Tensor, "env step width"],
        held: Int[Tensor, " env"],
        empty: Float[Tensor, "place width"],
    ) -> tuple[Float[Tensor, "env width"], Float[Tensor, "env head step"]]:
        """Return the layer's output, and the weights of the steps in memory, which have their positions.

        Parameters
        ----------
        empty
            A memory without steps, with its positions: what an episode's first step attends to, evenly.
        """
        query = self.queries(self._split(self.norm_query(x)))
        keys, values = self._memory(memory)
        scores = torch.einsum("ehd,eshd->ehs", query, keys) / math.sqrt(x.shape[-1])
        weights = newest_weights(scores, held)
        attended = torch.einsum("ehs,eshd->ehd", weights, values)
        first = held == 0
        if bool(first.any()):
            attended[first] = self._memory(empty[None])[1].mean(dim=1)
        x = x + self.joined(attended.flatten(1))
        return x + functional.relu(self.forth(self.norm_after(x))), weights

    def _memory(self, memory: Float[Tensor, "env step width"]) -> tuple[Tensor, Tensor]:
        split = self._split(self.norm_memory(memory))
        return self.keys(split), self.values(split)

    def _split(self, x: Float[Tensor, "*env width"]) -> Float[Tensor, "*env head size"]:
        return x.reshape(*x.shape[:-1], self.heads, -1)


class TrxlPolicy(RollingPolicy):
    """The policy of cleanrl's ``ppo_trxl`` over vectors, with one discrete action or several branches."""

    told = 0

    def __init__(self, config: TrxlConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.Linear(config.features, config.width)
        self.blocks = nn.ModuleList(TrxlLayer(config) for _ in range(config.layers))
        self.hidden = nn.Linear(config.width, config.width)
        first, *others = config.branches or (config.actions,)
        self.head = nn.Linear(config.width, first)
        further = {str(number): nn.Linear(config.width, size) for number, size in enumerate(others, start=1)}
        self.branch_heads = nn.ModuleDict(further)
        learned = config.encoding == "learned"
        self.positions = nn.Parameter(torch.zeros(config.episode_steps, config.width)) if learned else None
        self.past_steps, self.entry = config.context_length - 1, (config.width,)
        self.description = PolicyDescription(
            family=FAMILY,
            layers=config.layers,
            heads=config.heads,
            width=config.width,
            context_length=config.context_length,
            actions=config.actions,
            causal=True,
            positions=POSITIONS[config.encoding],
            query_slot="last",
            tokens_per_transition=1,
            window="memory",
            cleared="episode",
            observation="vector",
            output=OutputDescription(branches=config.branches),
            parameters=parameters_of(self),
        )

    def step(
        self,
        observation: Num[Tensor, "env feature"],
        told: Float[Tensor, "env number"],  # noqa: ARG002 - it sees observations alone
        past: Float[Tensor, "env layer step width"],
        at: Int[Tensor, " env"],
    ) -> tuple[Float[Tensor, "env action"], Float[Tensor, "env layer head slot"], Float[Tensor, "env layer width"]]:
        """Return logits, decision rows, and each layer's input.

        Raises
        ------
        CaptureInvalidError
            An episode is longer than the positions reach, or an observation is none of the policy's.
        """
        refuse_other(observation, self.config.features)
        held = at.clamp(max=self.past_steps)
        if bool((at >= self.config.episode_steps).any()):
            raise CaptureInvalidError(
                f"an episode has more than the {self.config.episode_steps} steps that the policy has positions for"
            )
        oldest = (at - held)[:, None] + torch.arange(self.past_steps, device=at.device)
        memory = past + self._positions(oldest)[:, None]
        empty = self._positions(torch.arange(self.past_steps + 1, device=at.device))
        x = self.encoder(observation.float())
        inputs, weights = [], []
        for number, layer in enumerate(self.blocks):
            inputs.append(x)
            x, seen = layer.step(x, memory[:, number], held, empty)  # type: ignore[operator]  # a list of layers
            weights.append(seen)
        own = (held == 0).to(x.dtype)[:, None, None, None].expand(-1, len(weights), self.config.heads, 1)
        rows = torch.cat([torch.stack(weights, dim=1), torch.zeros_like(own)], dim=-1)
        rows.scatter_(-1, held[:, None, None, None].expand_as(own), own)
        last = functional.relu(self.hidden(x))
        logits = torch.cat([self.head(last), *(branch(last) for branch in self.branch_heads.values())], dim=-1)
        return logits, rows, torch.stack(inputs, dim=1)

    def _positions(self, steps: Int[Tensor, "*env step"]) -> Float[Tensor, "*env step width"]:
        """Return the positions of steps of an episode; of steps beyond the longest, those of its last."""
        config = self.config
        reachable = steps.clamp(max=config.episode_steps - 1)
        if self.positions is not None:
            return self.positions[reachable]
        if config.encoding == "":
            return torch.zeros(*steps.shape, config.width, device=steps.device)
        # The library's table is turned round: an episode's last step has position 0.
        left = (config.episode_steps - 1 - reachable).float()
        powers = torch.arange(0, config.width, 2, device=steps.device, dtype=torch.float32) / config.width
        angles = left[..., None] * 10_000.0**-powers
        return torch.cat([angles.sin(), angles.cos()], dim=-1)
