"""AMAGO's policy: one token a step, keys and values that roll, positions that count the steps of the episode.

Keys and values stay as they were computed while the window slides over them, so a context computed anew is not what
the rollout computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Final, Literal

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.errors import CaptureInvalidError
from attnscope_model.families.observed import refuse_other
from attnscope_model.forward.description import parameters_of
from attnscope_model.forward.remembering import RollingPolicy, newest_weights
from attnscope_storage.wire import PolicyDescription

FAMILY = "amago"
"""Name of the family in entries and captures."""

ACTIVATIONS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = MappingProxyType(
    {"leaky_relu": functional.leaky_relu, "relu": functional.relu, "gelu": functional.gelu, "silu": functional.silu}
)
"""Activations by the library's words."""

SMALLEST_SPREAD: Final = 0.01
"""Standard deviation up to which an input is only centred."""


@dataclass(frozen=True)
class AmagoConfig:
    """Sizes from the tensors' shapes, and facts of the training's configuration."""

    width: int
    layers: int
    heads: int
    feedforward: int
    context_length: int
    """Steps that a query sees, its own among them."""
    features: int
    """Numbers of an observation."""
    actions: int
    gammas: int
    """Discounts that the policy learnt at once; the last one acts."""
    encoder: tuple[int, ...]
    """Widths of the step encoder: its hidden one as often as it has layers, and its output's."""
    actor: tuple[int, ...]
    """The same of the actor, without its output."""
    positions: Literal["fixed", "learnable", "rope"]
    reach: int
    """Rows of a learnt position table; 0 where there is none."""
    normalised: bool
    """Inputs are divided by their spread."""
    reparametrised: bool
    """Weights are divided by their spectral norm."""
    normformer: bool
    head_scaled: bool
    activations: tuple[str, str, str]
    """Of the step encoder, the layers and the actor."""
    probabilities: tuple[float, float]
    """Bounds of an action's probability before it is drawn."""


class SpectralLinear(nn.Module):
    """A linear map whose weight is divided by a stored estimate of its spectral norm, and scaled."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool, reparametrised: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.reparametrised = reparametrised
        if reparametrised:
            self.gamma = nn.Parameter(torch.ones(1))
            self.u = nn.Parameter(torch.zeros(outputs))
            self.v = nn.Parameter(torch.zeros(inputs))

    def forward(self, x: Float[Tensor, "*env input"]) -> Float[Tensor, "*env output"]:
        """Return the map of x."""
        weight: Tensor = self.weight
        if self.reparametrised:
            weight = weight * (self.gamma / (self.u @ weight @ self.v))
        return functional.linear(x, weight, self.bias)


class Perceptron(nn.Module):
    """Linear maps with an activation after all but the last."""

    def __init__(self, inputs: int, hidden: tuple[int, ...], outputs: int, activation: str) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.in_layer = nn.Linear(inputs, hidden[0])
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(hidden))
        self.out_layer = nn.Linear(hidden[-1], outputs)

    def forward(self, x: Float[Tensor, "*env input"]) -> Float[Tensor, "*env output"]:
        """Return the output of x."""
        x = self.activation(self.in_layer(x))
        for layer in self.layers:
            x = self.activation(layer(x))
        out: Tensor = self.out_layer(x)
        return out


class AmagoLayer(nn.Module):
    """One layer: x = x + norm₂(attention(norm₁ x)), x = x + W₂ norm₄(act(W₁ norm₃ x))."""

    def __init__(self, config: AmagoConfig) -> None:
        super().__init__()
        d, inner, spectral = config.width, config.feedforward, config.reparametrised
        self.heads, self.rotary = config.heads, config.positions == "rope"
        self.activation = ACTIVATIONS[config.activations[1]]
        self.in_proj = SpectralLinear(d, 3 * d, bias=False, reparametrised=spectral)
        self.out_proj = SpectralLinear(d, d, bias=True, reparametrised=spectral)
        self.head_scaler = nn.Parameter(torch.ones(1, 1, config.heads, 1)) if config.head_scaled else None
        self.ff1 = SpectralLinear(d, inner, bias=True, reparametrised=spectral)
        self.ff2 = SpectralLinear(inner, d, bias=True, reparametrised=spectral)
        self.norm1, self.norm3 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.norm2 = nn.LayerNorm(d) if config.normformer else nn.Identity()
        self.norm4 = nn.LayerNorm(inner) if config.normformer else nn.Identity()

    def step(
        self,
        x: Float[Tensor, "env width"],
        past: Float[Tensor, "env step 2 head size"],
        held: Int[Tensor, " env"],
        at: Int[Tensor, " env"],
    ) -> tuple[Float[Tensor, "env width"], Float[Tensor, "env head slot"], Float[Tensor, "env 2 head size"]]:
        """Return the output, the weights over past steps and the present one, and its key and value."""
        # The head's index varies fastest.
        projected = self.in_proj(self.norm1(x)).reshape(len(x), 3, -1, self.heads)
        query, key, value = projected.transpose(-2, -1).unbind(1)
        if self.rotary:
            query, key = turned(query, at), turned(key, at)
        own = torch.stack([key, value], dim=1)
        place = torch.arange(len(x), device=x.device)
        slots = torch.cat([past, torch.zeros_like(past[:, :1])], dim=1) if past.shape[1] else own[:, None].clone()
        slots[place, held] = own
        scores = torch.einsum("ehd,eshd->ehs", query, slots[:, :, 0]) / math.sqrt(query.shape[-1])
        weights = newest_weights(scores, held + 1)
        attended = torch.einsum("ehs,eshd->ehd", weights, slots[:, :, 1])
        if self.head_scaler is not None:
            attended = attended * self.head_scaler[0]
        x = x + self.norm2(self.out_proj(attended.flatten(1)))
        x = x + self.ff2(self.norm4(self.activation(self.ff1(self.norm3(x)))))
        return x, weights, own


class AmagoPolicy(RollingPolicy):
    """AMAGO's policy over vectors, with one discrete action."""

    input_mean: Tensor
    input_square: Tensor

    def __init__(self, config: AmagoConfig) -> None:
        super().__init__()
        self.config = config
        d, inputs = config.width, config.features + 1 + config.actions
        self.register_buffer("discounts", torch.zeros(config.gammas, 1))  # its rows are counted, its numbers unused
        if config.normalised:
            self.register_buffer("input_mean", torch.zeros(inputs))
            self.register_buffer("input_square", torch.ones(inputs))
        self.observing = Perceptron(inputs, config.encoder[:-1], config.encoder[-1], config.activations[0])
        self.observed_norm = nn.LayerNorm(config.encoder[-1])
        self.widen = nn.Linear(config.encoder[-1], d)
        self.positions = nn.Parameter(torch.zeros(config.reach, d)) if config.positions == "learnable" else None
        self.blocks = nn.ModuleList(AmagoLayer(config) for _ in range(config.layers))
        self.final_norm = nn.LayerNorm(d)
        self.actor = Perceptron(d, config.actor, config.gammas * config.actions, config.activations[2])
        self.past_steps, self.entry = config.context_length - 1, (2, config.heads, d // config.heads)
        self.told = 1 + config.actions
        kinds: dict[str, Literal["sinusoidal", "learned-absolute", "rotary"]]
        kinds = {"fixed": "sinusoidal", "learnable": "learned-absolute", "rope": "rotary"}
        self.description = PolicyDescription(
            family=FAMILY,
            layers=config.layers,
            heads=config.heads,
            width=d,
            context_length=config.context_length,
            actions=config.actions,
            causal=True,
            positions=kinds[config.positions],
            query_slot="last",
            tokens_per_transition=1,
            window="rolling",
            cleared="episode",
            observation="vector",
            parameters=parameters_of(self),
        )

    def tell(self, action: Int[Tensor, " env"], reward: Float[Tensor, " env"]) -> Float[Tensor, "env number"]:
        """Return the reward and the action, one-hot."""
        return torch.cat([reward[:, None], functional.one_hot(action, self.config.actions).float()], dim=1)

    def step(
        self,
        observation: Num[Tensor, "env feature"],
        told: Float[Tensor, "env number"],
        past: Float[Tensor, "env layer step 2 head size"],
        at: Int[Tensor, " env"],
    ) -> tuple[Float[Tensor, "env action"], Float[Tensor, "env layer head slot"], Tensor]:
        """Return logits, decision rows, and each layer's key and value."""
        x, weights, entries = self.encoded(observation, told, past, at)
        # The last discount acts, its probabilities bounded before they are drawn from.
        raw = self.actor(x).reshape(len(x), self.config.gammas, -1)[:, -1]
        chances = torch.softmax(raw, dim=-1).clamp(*self.config.probabilities)
        return (chances / chances.sum(dim=-1, keepdim=True)).log(), weights, entries

    def encoded(
        self,
        observation: Num[Tensor, "env feature"],
        told: Float[Tensor, "env number"],
        past: Float[Tensor, "env layer step 2 head size"],
        at: Int[Tensor, " env"],
    ) -> tuple[Float[Tensor, "env width"], Float[Tensor, "env layer head slot"], Tensor]:
        """Return the stack's output, decision rows, and each layer's key and value."""
        refuse_other(observation, self.config.features)
        held = at.clamp(max=self.past_steps)
        inputs = self._normalised(torch.cat([observation.float(), told], dim=1))
        x = self.widen(self.observed_norm(self.observing(inputs))) + self._placed(at)
        weights, entries = [], []
        for number, layer in enumerate(self.blocks):
            x, seen, own = layer.step(x, past[:, number], held, at)  # type: ignore[operator]  # a list of layers
            weights.append(seen)
            entries.append(own)
        return self.final_norm(x), torch.stack(weights, dim=1), torch.stack(entries, dim=1)

    def _normalised(self, x: Float[Tensor, "env input"]) -> Float[Tensor, "env input"]:
        if not self.config.normalised:
            return x
        spread = (self.input_square - self.input_mean**2 + 1e-5).sqrt().clamp(1e-3, 1e6)
        centred = x - self.input_mean
        return torch.where(spread > SMALLEST_SPREAD, (centred / spread).clamp(-1e4, 1e4), centred)

    def _placed(self, at: Int[Tensor, " env"]) -> Float[Tensor, "env width"] | float:
        if self.config.positions == "rope":
            return 0.0
        if self.positions is not None:
            if bool((at >= self.config.reach).any()):
                raise CaptureInvalidError(f"an episode has more than the {self.config.reach} steps with positions")
            return self.positions[at]
        d = self.config.width
        angles = at[:, None] * 10_000.0 ** -(torch.arange(0, d, 2, device=at.device) / d)
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def turned(x: Float[Tensor, "env head size"], at: Int[Tensor, " env"]) -> Float[Tensor, "env head size"]:
    """Return queries or keys turned by the angles of their steps, in pairs (i, i + size/2)."""
    size = x.shape[-1]
    angles = at[:, None, None] * 10_000.0 ** -(torch.arange(0, size, 2, device=x.device) / size)
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * angles.cos() - right * angles.sin(), left * angles.sin() + right * angles.cos()], dim=-1)
