"""The forward that every family shares: a stack of layers over placed tokens, read at the deciding token.

A family writes its `Layer` (what is projected, what follows attention) and a `StackedPolicy` (what tokens are, where
they stand, how the deciding token becomes logits). Recompute, cache, capture, replay and training then run the same
arithmetic. Knows nothing of environments, windows or devices.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnscope_model.errors import NotReplayableError
from attnscope_model.forward.attention import TapedAttention, attention_map
from attnscope_model.forward.policy import Policy

Slots = int | Int[Tensor, "env token"]
"""Positions of tokens: the slot of the first of consecutive tokens, or the slot of every token."""


Computed = Callable[[Tensor, Slots, Tensor | None], tuple[Tensor, Tensor]]
"""A compiled layer's call: the output and the row, by tokens, their slots, and where the row is wanted, if anywhere."""


class Whole(Protocol):
    """A layer as one compiled call."""

    @abstractmethod
    def every(
        self, x: Float[Tensor, "env token width"], first: Slots, place: Float[Tensor, "env head 1 slot"] | None
    ) -> tuple[Float[Tensor, "env token width"], Float[Tensor, "env head 1 slot"]]:
        """Return every token's output, and the last one's row, which is written to `place` where that fits."""
        ...

    @abstractmethod
    def last(
        self, x: Float[Tensor, "env token width"], first: Slots, place: Float[Tensor, "env head 1 slot"] | None
    ) -> tuple[Float[Tensor, "env 1 width"], Float[Tensor, "env head 1 slot"]]:
        """Return the last token's output, and its row, which is written to `place` where that fits."""
        ...

    @abstractmethod
    def new(
        self,
        x: Float[Tensor, "env new width"],
        first: int,
        memory: tuple[Float[Tensor, "env width capacity"], Float[Tensor, "env width capacity"]],
        place: Float[Tensor, "env head 1 slot"] | None,
        *,
        last: bool,
    ) -> tuple[Float[Tensor, "env given width"], Float[Tensor, "env head 1 slot"]]:
        """Return the output of new tokens of growing contexts, or of the last alone, and its row; keep keys and values.

        `first` is the number of tokens that are kept, and so the slot of the first new one.
        """
        ...

    @abstractmethod
    def memory(self, envs: int, capacity: int) -> tuple[Tensor, Tensor]:
        """Return room for the keys and values of growing contexts."""
        ...


def newest(slots: Slots, tokens: int) -> int | Int[Tensor, "env one"]:
    """Return the slots of the last token."""
    return slots + tokens - 1 if isinstance(slots, int) else slots[:, -1:]


def at_slots(table: Float[Tensor, "slot size"], slots: Slots, tokens: int) -> Float[Tensor, "*env token size"]:
    """Return the rows of a table of slots for so many tokens."""
    return table[slots : slots + tokens] if isinstance(slots, int) else table[slots]


class Layer(nn.Module, ABC):
    """One layer: queries, keys and values of its input, and what follows attention.

    Normalisation before attention, where a family has it, belongs to `project`, `query` and `memory`; residuals and
    the feed-forward part to `finish`. `first` says where the tokens stand in the context, which only layers that
    rotate queries and keys ask for.
    """

    attention: TapedAttention
    whole: Whole | None = None
    """The layer as one compiled call, where it is computed so; see `attnscope_model.forward.whole_layers`."""

    @abstractmethod
    def project(
        self, x: Float[Tensor, "env token width"], first: Slots = 0
    ) -> tuple[
        Float[Tensor, "env head token size"], Float[Tensor, "env head token size"], Float[Tensor, "env head token size"]
    ]:
        """Return queries, keys and values."""

    @abstractmethod
    def query(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env head token size"]:
        """Return the queries alone."""

    @abstractmethod
    def memory(
        self, x: Float[Tensor, "env token width"], first: Slots = 0
    ) -> tuple[Float[Tensor, "env head token size"], Float[Tensor, "env head token size"]]:
        """Return the keys and values alone."""

    @abstractmethod
    def finish(
        self, x: Float[Tensor, "env token width"], attended: Float[Tensor, "env head token size"]
    ) -> Float[Tensor, "env token width"]:
        """Return the layer's output for tokens whose attended values are given."""

    def turned(self, x: Float[Tensor, "env head token size"], first: Slots) -> Float[Tensor, "env head token size"]:  # noqa: ARG002 - for families that rotate
        """Return queries or keys of slot 0 as those of other slots: as they are, where none are rotated."""
        return x

    def output(self) -> Float[Tensor, "width joined"]:
        """Return the weight that maps the heads' joined values, head by head, to what attention adds; without bias.

        Value-weighted attention asks for it; a family that does not say it has none.
        """
        raise NotReplayableError(f"{type(self).__name__} does not say its output map, which value-weighting needs")

    def forward(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return every token's output."""
        if self.whole is None:
            return self.finish(x, self.attention.attend(*self.project(x, first), first))
        return self._noted(self.whole.every, x, first)

    def decide(self, x: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env 1 width"]:
        """Return the last token's output, which is all that the last layer is asked for."""
        if self.whole is not None:
            return self._noted(self.whole.last, x, first)
        keys, values = self.memory(x, first)
        query = self.query(x[:, -1:], newest(first, x.shape[1]))
        tape = self.attention.tape
        if tape is not None and tape.with_maps:
            query = torch.cat([self.query(x, first)[:, :, :-1], query], dim=2)  # the deciding query keeps its bits
        return self.finish(x[:, -1:], self.attention.decide(query, keys, values, first))

    def _noted(self, compute: Computed, x: Float[Tensor, "env token width"], first: Slots) -> Tensor:
        """Return what compiled code computes, after its row and, where asked for, the map beside it are recorded."""
        tape = self.attention.tape
        out, row = compute(x, first, None if tape is None else tape.place())
        if tape is not None:
            whole = None
            if tape.with_maps:
                queries, keys, _ = self.project(x, first)
                whole = attention_map(queries, keys, causal=self.attention.causal)
            tape.record(row, whole)
        return out


class StackedPolicy(Policy):
    """A policy whose forward is a stack of layers over placed tokens."""

    @abstractmethod
    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return tokens as the first layer takes them; the absolute positions of their slots are added here."""

    @abstractmethod
    def layers(self) -> tuple[Layer, ...]:
        """Return the layers, first layer first."""

    @abstractmethod
    def read(self, x: Float[Tensor, "env width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the deciding token's output; a final norm, where there is one, is applied here."""

    def forward(self, tokens: Float[Tensor, "env token width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the deciding token, the last of the context."""
        x = self.place(tokens)
        *early, last = self.layers()
        for layer in early:
            x = layer.forward(x)
        return self.read(last.decide(x)[:, 0])

    def attentions(self) -> list[TapedAttention]:
        """Return the attention of every layer."""
        return [layer.attention for layer in self.layers()]
