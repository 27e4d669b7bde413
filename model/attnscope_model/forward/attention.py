"""Multi-head attention with a place for a recorder, and the same weights computed explicitly beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from attnscope_model.forward.distances import DistanceBias

Fused = Callable[[Tensor, Tensor, Tensor, bool, Tensor | None], tuple[Tensor, Tensor]]
"""Every token's attended values, and the last one's row, from queries, keys, values [env, head, token, size], whether
it is causal, and where the row is wanted, if anywhere."""


class Recorder(Protocol):
    """The recorder of a layer's attention while a forward runs."""

    with_maps: bool

    def place(self) -> Tensor | None:
        """Return where the next row [env, head, 1, slot] may be written, so that recording it copies nothing."""

    def map_place(self) -> Tensor | None:
        """Return where the next map [env, head, query, slot] may be written, in float16, so that none is held twice."""

    def record(self, row: Tensor, whole: Tensor | None) -> None:
        """Take down the deciding query's row [env, head, 1, slot], and the whole map [env, head, query, slot]."""


class TapedAttention:
    """Multi-head attention over projected queries, keys and values, with a place for a tape.

    Holds no weights and is no module: a call costs as little as the function behind it.

    Parameters
    ----------
    causal
        Whether a query sees only its own and earlier slots.
    bias
        The addition to scores by distance, which stands for positions; None where positions are elsewhere. Only it
        asks for the slots that the calls below take: consecutive ones, or each token's.
    """

    def __init__(self, *, causal: bool, bias: DistanceBias | None = None) -> None:
        self.causal = causal
        self.bias = bias
        self.tape: Recorder | None = None
        self.fused: Fused | None = None
        """The attention that `attend` uses instead of torch's; see `attnscope_model.forward.fused`."""

    def attend(
        self,
        queries: Float[Tensor, "env head query size"],
        keys: Float[Tensor, "env head slot size"],
        values: Float[Tensor, "env head slot size"],
        slots: int | Int[Tensor, "env slot"] = 0,
    ) -> Float[Tensor, "env head query size"]:
        """Attend with every token's query; the deciding query is the last."""
        if self.bias is not None:
            return self._biased(queries, keys, values, slots)
        if self.fused is None:
            row = None if self.tape is None else attention_row(queries[:, :, -1:], keys)
            attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=self.causal)
        else:
            place = None if self.tape is None else self.tape.place()
            attended, row = self.fused(queries, keys, values, self.causal, place)
        if self.tape is not None and row is not None:
            self.tape.record(row, self._map(queries, keys))
        return attended

    def added(
        self, slots: int | Int[Tensor, "env slot"], count: int, newest: int, device: torch.device
    ) -> Float[Tensor, "*batch head query slot"] | None:
        """Return the additions to the scores of the newest queries among so many tokens; None where there are none."""
        if self.bias is None:
            return None
        at = torch.arange(count, device=device) if isinstance(slots, int) else slots
        return self.bias.at(at[..., count - newest :, None] - at[..., None, :])

    def _biased(
        self, queries: Tensor, keys: Tensor, values: Tensor, slots: int | Tensor
    ) -> Float[Tensor, "env head query size"]:
        """Attend with every token's query under an addition by distance."""
        count = keys.shape[2]
        bias = self.added(slots, count, queries.shape[2], keys.device)
        assert bias is not None  # noqa: S101 - asked for where there is one
        if self.tape is not None:
            row = attention_row(queries[:, :, -1:], keys, bias[..., -1:, :])
            self.tape.record(row, self._map(queries, keys, bias))
        if self.causal:
            bias = bias.masked_fill(_future(queries.shape[2], count, keys.device), -math.inf)
        # Of four axes, as torch attends by blocks under such a mask alone.
        mask = bias if bias.ndim == queries.ndim else bias[None]
        return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)

    def decide(
        self,
        queries: Float[Tensor, "env head query size"],
        keys: Float[Tensor, "env head slot size"],
        values: Float[Tensor, "env head slot size"],
        slots: int | Int[Tensor, "env slot"] = 0,
    ) -> Float[Tensor, "env head 1 size"]:
        """Attend with the deciding query alone, which is all that the last layer's output needs.

        `queries` may hold only the deciding query where no map is recorded.
        """
        bias = self.added(slots, keys.shape[2], queries.shape[2], keys.device)
        row = attention_row(queries[:, :, -1:], keys, None if bias is None else bias[..., -1:, :])
        if self.tape is not None:
            self.tape.record(row, self._map(queries, keys, bias))
        return row @ values

    def _map(
        self,
        queries: Float[Tensor, "env head query size"],
        keys: Float[Tensor, "env head slot size"],
        bias: Float[Tensor, "*batch head query slot"] | None = None,
    ) -> Float[Tensor, "env head query slot"] | None:
        """Return the whole map, in its place where there is one; None where none is wanted."""
        if self.tape is None or not self.tape.with_maps:
            return None
        return attention_map(queries, keys, causal=self.causal, bias=bias, place=self.tape.map_place())

    def extend(
        self,
        queries: Float[Tensor, "env head new size"],
        keys: Float[Tensor, "env head size slot"],
        values: Float[Tensor, "env head size slot"],
        slots: int | Int[Tensor, "env slot"] = 0,
    ) -> Float[Tensor, "env head new size"]:
        """Attend causally with the newest tokens' queries; the deciding query is the last.

        Keys and values lie along the slots, which is how few queries meet many of them fastest. The weights are
        computed explicitly, so that the deciding row comes with them.
        """
        new, count = queries.shape[-2], keys.shape[-1]
        scores = (queries @ keys).mul_(1 / math.sqrt(queries.shape[-1]))
        if (bias := self.added(slots, count, new, scores.device)) is not None:
            scores += bias
        if new > 1:
            scores[..., count - new :].masked_fill_(_future(new, new, scores.device), -math.inf)
        weights = torch.softmax(scores, dim=-1)
        if self.tape is not None:
            self.tape.record(weights[:, :, -1:], None)
        return weights @ values.transpose(-2, -1)


def attention_row(
    query: Float[Tensor, "env head 1 size"],
    keys: Float[Tensor, "env head slot size"],
    bias: Float[Tensor, "*batch head 1 slot"] | None = None,
) -> Float[Tensor, "env head 1 slot"]:
    """Return the last slot's attention, which sees every slot, causal or not."""
    scores = (query / math.sqrt(query.shape[-1])) @ keys.transpose(-2, -1)
    return torch.softmax(scores if bias is None else scores + bias, dim=-1)


def attention_map(
    queries: Float[Tensor, "env head query size"],
    keys: Float[Tensor, "env head slot size"],
    *,
    causal: bool,
    bias: Float[Tensor, "*batch head query slot"] | None = None,
    place: Float[Tensor, "env head query slot"] | None = None,
) -> Float[Tensor, "env head query slot"]:
    """Return every query's attention.

    Parameters
    ----------
    bias
        Added to the scores: of every environment, or of all alike.
    place
        Memory that takes the maps, one environment after the other, so that float32 maps of one alone are held beside.
    """
    if place is not None:
        for env in range(len(queries)):
            one = slice(env, env + 1)
            own = bias[one] if bias is not None and bias.ndim == queries.ndim and len(bias) > 1 else bias
            place[one].copy_(attention_map(queries[one], keys[one], causal=causal, bias=own))
        return place
    scores = (queries @ keys.transpose(-2, -1)).mul_(1 / math.sqrt(queries.shape[-1]))
    if bias is not None:
        scores += bias
    if causal:
        scores.masked_fill_(_future(queries.shape[2], keys.shape[2], scores.device), -math.inf)
    return torch.softmax(scores, dim=-1)


def _future(queries: int, slots: int, device: torch.device) -> Bool[Tensor, "query slot"]:
    """Return the slots that come after each query."""
    return torch.ones(queries, slots, dtype=torch.bool, device=device).triu_(1)
