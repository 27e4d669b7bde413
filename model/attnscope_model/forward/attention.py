"""Multi-head attention with a place for a recorder, and the same weights computed explicitly beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Fused = Callable[[Tensor, Tensor, Tensor, bool, Tensor | None], tuple[Tensor, Tensor]]
"""Every token's attended values, and the last one's row, from queries, keys, values [env, head, token, size], whether
it is causal, and where the row is wanted, if anywhere."""


class Recorder(Protocol):
    """The recorder of a layer's attention while a forward runs."""

    with_maps: bool

    def place(self) -> Tensor | None:
        """Return where the next row [env, head, 1, slot] may be written, so that recording it copies nothing."""

    def record(self, row: Tensor, whole: Tensor | None) -> None:
        """Take down the deciding query's row [env, head, 1, slot], and the whole map [env, head, query, slot]."""


class TapedAttention:
    """Multi-head attention over projected queries, keys and values, with a place for a tape.

    Holds no weights and is no module: a call costs as little as the function behind it.

    Parameters
    ----------
    causal
        Whether a query sees only its own and earlier slots.
    """

    def __init__(self, *, causal: bool) -> None:
        self.causal = causal
        self.tape: Recorder | None = None
        self.fused: Fused | None = None
        """The attention that `attend` uses instead of torch's; see `attnscope_model.forward.fused`."""

    def attend(
        self,
        queries: Float[Tensor, "env head query size"],
        keys: Float[Tensor, "env head slot size"],
        values: Float[Tensor, "env head slot size"],
    ) -> Float[Tensor, "env head query size"]:
        """Attend with every token's query; the deciding query is the last."""
        if self.fused is None:
            row = None if self.tape is None else attention_row(queries[:, :, -1:], keys)
            attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=self.causal)
        else:
            place = None if self.tape is None else self.tape.place()
            attended, row = self.fused(queries, keys, values, self.causal, place)
        if self.tape is not None and row is not None:
            self.tape.record(row, attention_map(queries, keys, causal=self.causal) if self.tape.with_maps else None)
        return attended

    def decide(
        self,
        queries: Float[Tensor, "env head query size"],
        keys: Float[Tensor, "env head slot size"],
        values: Float[Tensor, "env head slot size"],
    ) -> Float[Tensor, "env head 1 size"]:
        """Attend with the deciding query alone, which is all that the last layer's output needs.

        `queries` may hold only the deciding query where no map is recorded.
        """
        row = attention_row(queries[:, :, -1:], keys)
        if self.tape is not None:
            self.tape.record(row, attention_map(queries, keys, causal=self.causal) if self.tape.with_maps else None)
        return row @ values

    def extend(
        self,
        queries: Float[Tensor, "env head new size"],
        keys: Float[Tensor, "env head size slot"],
        values: Float[Tensor, "env head size slot"],
    ) -> Float[Tensor, "env head new size"]:
        """Attend causally with the newest tokens' queries; the deciding query is the last.

        Keys and values lie along the slots, which is how few queries meet many of them fastest. The weights are
        computed explicitly, so that the deciding row comes with them.
        """
        new, slots = queries.shape[-2], keys.shape[-1]
        scores = (queries @ keys).mul_(1 / math.sqrt(queries.shape[-1]))
        if new > 1:
            future = torch.ones(new, new, dtype=torch.bool, device=scores.device).triu_(1)
            scores[..., slots - new :].masked_fill_(future, -math.inf)
        weights = torch.softmax(scores, dim=-1)
        if self.tape is not None:
            self.tape.record(weights[:, :, -1:], None)
        return weights @ values.transpose(-2, -1)


def attention_row(
    query: Float[Tensor, "env head 1 size"], keys: Float[Tensor, "env head slot size"]
) -> Float[Tensor, "env head 1 slot"]:
    """Return the last slot's attention, which sees every slot, causal or not."""
    return torch.softmax((query / math.sqrt(query.shape[-1])) @ keys.transpose(-2, -1), dim=-1)


def attention_map(
    queries: Float[Tensor, "env head query size"], keys: Float[Tensor, "env head slot size"], *, causal: bool
) -> Float[Tensor, "env head query slot"]:
    """Return every query's attention."""
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
    if causal:
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(future, -math.inf)
    return torch.softmax(scores, dim=-1)
