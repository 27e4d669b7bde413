"""DICP's AD and DPT on its small LLaMA: RMS norms, rotary positions, SwiGLU, causal; in plain torch.

AD's query is a cell's embedding at the end; DPT's is (s, 0, 0, 0) through the transitions' map, at the front.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.families.headed import HeadedStack
from attnscope_model.families.tokens import CellConfig, WholeTransitions
from attnscope_model.forward.description import described, parameters_of
from attnscope_model.forward.layers import ProjectingLayer, Rotation
from attnscope_model.forward.stack import Slots

AD_FAMILY = "dicp-ad"
DPT_FAMILY = "dicp-dpt"
"""Names of the families in entries and captures."""

ROPE_BASE = 10_000
"""Base of the rotary frequencies."""

NORM_EPS = 1e-5
"""Added to the mean square before its root."""


@dataclass(frozen=True)
class DicpConfig(CellConfig):
    """Sizes from the tensors' shapes, and facts that shapes do not hold. DPT asks for no room's size: 0."""

    family: Literal["dicp-ad", "dicp-dpt"]


class LlamaLayer(ProjectingLayer):
    """One layer: x = x + attention(RMS(x)), x = x + W₃(silu(W₁ z) · W₂ z) with z = RMS(x)."""

    def __init__(self, config: DicpConfig, rotation: Rotation) -> None:
        super().__init__(config.heads, rotation=rotation)
        d, inner = config.width, config.feedforward
        self.norm1 = nn.RMSNorm(d, eps=NORM_EPS)
        self.norm2 = nn.RMSNorm(d, eps=NORM_EPS)
        self.in_proj = nn.Linear(d, 3 * d)
        self.out_proj = nn.Linear(d, d)
        self.gate = nn.Linear(d, inner, bias=False)
        self.up = nn.Linear(d, inner, bias=False)
        self.down = nn.Linear(inner, d, bias=False)

    def entering(self, x: Float[Tensor, "env token width"]) -> Float[Tensor, "env token width"]:
        """Return tokens as they are projected."""
        normed: Tensor = self.norm1(x)
        return normed

    def finish(
        self, x: Float[Tensor, "env token width"], attended: Float[Tensor, "env head token size"]
    ) -> Float[Tensor, "env token width"]:
        """Return the output of tokens whose attended values are given."""
        x = x + self.joined(attended)
        z = self.norm2(x)
        added: Tensor = self.down(functional.silu(self.gate(z)) * self.up(z))
        return x + added


class DicpPolicy(WholeTransitions, HeadedStack):
    """The AD or DPT policy of DICP; what it learnt besides of the environment's dynamics is not used."""

    def __init__(self, config: DicpConfig) -> None:
        rotation = Rotation(rotary_angles, config.context_length, config.width // config.heads)
        super().__init__((LlamaLayer(config, rotation) for _ in range(config.layers)), config)
        self.grid_size = config.grid_size
        self.query_first = config.family == DPT_FAMILY
        self.embed_context = nn.Linear(2 * 2 + config.actions + 1, config.width)
        if not self.query_first:
            self.embed_query_state = nn.Embedding(config.grid_size**2, config.width)
        self.description = described(
            config,
            parameters_of(self),
            family=config.family,
            positions="rotary",
            query_slot="first" if self.query_first else "last",
        )

    def embed_query(self, observation: Int[Tensor, "env feature"]) -> Float[Tensor, "env token width"]:
        """Return one token: AD's is the embedding of the cell, DPT's the transitions' map of (s, 0, 0, 0)."""
        if not self.query_first:
            return super().embed_query(observation)
        padded = functional.pad(observation.float(), (0, self.description.actions + 1 + 2))
        embedded: Tensor = self.embed_context(padded)
        return embedded[:, None]

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:  # noqa: ARG002 - queries and keys are turned in the layers
        """Return the tokens as they are."""
        return tokens


def rotary_angles(slots: int, size: int) -> Float[Tensor, "slot half"]:
    """Return the angle, in radians, by which each slot turns each pair of a head's dimensions; in double precision."""
    exponents = torch.arange(0, size, 2, dtype=torch.float64) / size
    return torch.outer(torch.arange(slots, dtype=torch.float64), ROPE_BASE**-exponents)
