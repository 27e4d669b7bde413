"""The common parts of the families' layers: stacked projections, rotary positions, and the block with GELU.

A family states what differs: where norms stand, which GELU, whether queries and keys are turned, and by what angles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.forward.attention import TapedAttention
from attnscope_model.forward.description import Sizes
from attnscope_model.forward.distances import DistanceBias
from attnscope_model.forward.stack import Layer, Slots, at_slots

Angles = Callable[[int, int], Float[Tensor, "slot half"]]
"""By how many slots and the size of a head: the angle, in radians, by which each slot turns each pair."""


class Rotation(nn.Module):
    """Rotary positions (Su et al., 2021): slot s turns each pair of a head's dimensions (i, i + size/2) by its angle.

    Parameters
    ----------
    slots
        Slots of a full context; `reach` goes beyond.
    size
        Numbers of a head, even.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, angles: Angles, slots: int, size: int) -> None:
        super().__init__()
        self._angles = angles
        for name, table in self._tables(slots, size).items():
            self.register_buffer(name, table, persistent=False)

    def turned(self, x: Float[Tensor, "env head token size"], first: Slots) -> Float[Tensor, "env head token size"]:
        """Return queries or keys turned by their slots' angles."""
        cos, sin = (at_slots(table, first, x.shape[2]) for table in (self.cos, self.sin))
        if not isinstance(first, int):  # every environment has slots of its own, whichever the head
            cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
        left, right = x.chunk(2, dim=-1)
        return torch.cat([left * cos - right * sin, left * sin + right * cos], dim=-1)

    def reach(self, first: Slots, tokens: int) -> None:
        """See to it that so many tokens that stand there can be turned."""
        end = first + tokens if isinstance(first, int) else int(first.max()) + 1
        if end > len(self.cos):
            for name, table in self._tables(2 * end, 2 * self.cos.shape[1]).items():
                setattr(self, name, table.to(self.cos.device))

    def _tables(self, slots: int, size: int) -> dict[str, Tensor]:
        # On the CPU even where a checkpoint's policy is first built without memory: tables come from no file.
        with torch.device("cpu"):
            angles = self._angles(slots, size)
        return {"cos": angles.cos().float(), "sin": angles.sin().float()}


class ProjectingLayer(Layer):
    """A layer with one map to queries, keys and values, stacked in that order, and one map that joins the heads.

    The constructor of a family makes `in_proj` and `out_proj`, in the place among its weights that they have there.
    """

    in_proj: nn.Linear
    out_proj: nn.Linear

    def __init__(
        self, heads: int, *, causal: bool = True, rotation: Rotation | None = None, bias: DistanceBias | None = None
    ) -> None:
        super().__init__()
        self.heads = heads
        self.attention = TapedAttention(causal=causal, bias=bias)
        self.rotation = rotation

    def entering(self, x: Float[Tensor, "env token width"]) -> Float[Tensor, "env token width"]:
        """Return tokens as they are projected: as they are, where no norm comes first."""
        return x

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

    def turned(self, x: Float[Tensor, "env head token size"], first: Slots) -> Float[Tensor, "env head token size"]:
        """Return queries or keys of slot 0 as those of other slots, also beyond a context's."""
        if self.rotation is not None:
            self.rotation.reach(first, x.shape[2])
        return self._rotated(x, first)

    def output(self) -> Float[Tensor, "width joined"]:
        """Return the output map's weight."""
        return self.out_proj.weight

    def joined(self, attended: Float[Tensor, "env head token size"]) -> Float[Tensor, "env token width"]:
        """Return what attention adds to the tokens."""
        return linear(self.out_proj, attended.transpose(1, 2).flatten(2))

    def _projected(self, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        """Return the projections by stacked weights, each [env, head, token, size]."""
        envs, tokens, width = x.shape
        stacked = functional.linear(self.entering(x), weight, bias)
        return stacked.view(envs, tokens, -1, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind()

    def _rotated(self, x: Float[Tensor, "env head token size"], first: Slots) -> Float[Tensor, "env head token size"]:
        """Return queries or keys turned by their slots' angles, or as they are."""
        rotation = self.rotation  # looked up once: a module finds its parts slowly
        return x if rotation is None else rotation.turned(x, first)


class BlockLayer(ProjectingLayer):
    """One layer with GELU.

    Pre-norm: x = x + attention(LN(x)), x = x + W₂ gelu(W₁ LN(x)). Post-norm: x = LN(x + attention(x)),
    x = LN(x + W₂ gelu(W₁ x)).

    Parameters
    ----------
    gelu
        Approximation of GELU, in torch's words: ``none`` is by the error function, ``tanh`` is GPT-2's.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        norm: Literal["pre", "post"],
        gelu: Literal["none", "tanh"] = "none",
        causal: bool = True,
        rotation: Rotation | None = None,
        bias: DistanceBias | None = None,
    ) -> None:
        super().__init__(sizes.heads, causal=causal, rotation=rotation, bias=bias)
        self.norm_first = norm == "pre"
        self.gelu = gelu
        d = sizes.width
        # Training draws weights, sums gradients' norms and keeps its optimiser's state in the order they are made in.
        norms = nn.LayerNorm(d), nn.LayerNorm(d)
        if self.norm_first:
            self.norm1 = norms[0]
        self.in_proj = nn.Linear(d, 3 * d)
        self.out_proj = nn.Linear(d, d)
        if self.norm_first:
            self.norm2 = norms[1]
        self.linear1 = nn.Linear(d, sizes.feedforward)
        self.linear2 = nn.Linear(sizes.feedforward, d)
        if not self.norm_first:
            self.norm1, self.norm2 = norms

    def entering(self, x: Float[Tensor, "env token width"]) -> Float[Tensor, "env token width"]:
        """Return tokens as they are projected."""
        return normed(self.norm1, x) if self.norm_first else x

    def finish(
        self, x: Float[Tensor, "env token width"], attended: Float[Tensor, "env head token size"]
    ) -> Float[Tensor, "env token width"]:
        """Return the output of tokens whose attended values are given."""
        if self.norm_first:
            x = x + self.joined(attended)
            return x + self._fed_forward(normed(self.norm2, x))
        x = normed(self.norm1, added(self.joined(attended), x))
        return normed(self.norm2, added(self._fed_forward(x), x))

    def _fed_forward(self, x: Tensor) -> Tensor:
        # Under autocast the product is bfloat16, and GELU would be; in the weights' precision nothing is copied.
        inner = linear(self.linear1, x).to(self.linear1.weight.dtype)
        return linear(self.linear2, functional.gelu(inner, approximate=self.gelu))


def added(part: Tensor, x: Tensor) -> Tensor:
    """Return a residual sum in the precision of x, in place where that is the part's: new memory costs more."""
    return part.add_(x) if part.dtype is x.dtype else part + x


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return a linear map of x; a function, as at one environment a module's call costs as much as the arithmetic."""
    return functional.linear(x, layer.weight, layer.bias)


def normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Return x normalised; a function, as `linear` is."""
    return torch.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
