"""Policies that pack their older history into latents by a second network, and the attention of such contexts.

A latent is a token that stands for no single transition. When it is packed, how, and how it enters the policy's stack
is said by a `LearnedCompressor`; what a batch of histories then looks like is `attnscope_model.acting.packing`'s.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from attnscope_model.forward.attention import TapedAttention, attention_row
from attnscope_model.forward.stack import StackedPolicy


@dataclass(frozen=True)
class Packed:
    """One compression of a batch of histories."""

    latents: Float[Tensor, "env latent width"]
    """The latents, as the next compression takes them."""
    cross: Float[Tensor, "env layer head latent source"] | None = None
    """Attention of each latent to what was packed: older latents first, then tokens; None where nobody says it."""
    among: Float[Tensor, "env layer head latent latent"] | None = None
    """Attention of the latents to each other; None where nobody says it."""


class LearnedCompressor(ABC):
    """A network that packs tokens into latents for one policy: when, how, and as which tokens the policy sees them.

    Tokens are on the policy's device, and so is the network: one that an installed package makes for a policy moves it
    to ``next(policy.parameters()).device``.
    """

    latents: int
    """Latents that a compression gives."""

    @abstractmethod
    def when(self, tokens: int, *, packed: bool) -> bool:
        """Return whether it is time to pack, after a transition has joined.

        Parameters
        ----------
        tokens
            Tokens of the transitions that are not packed yet.
        packed
            True once there are latents.
        """

    @abstractmethod
    def compress(
        self, held: Float[Tensor, "env latent width"] | None, tokens: Float[Tensor, "env token width"]
    ) -> Packed:
        """Return new latents for those that are held and for further tokens.

        Parameters
        ----------
        held
            Latents of the compression before, as it gave them; None at the first one.
        tokens
            Embedded tokens without positions, oldest first. The latents are on their device and of their type.
        """

    def flops(self, sources: int) -> float:  # noqa: ARG002 - for compressors that count
        """Return the floating-point operations of packing so many tokens and latents; 0 where nobody counts."""
        return 0.0

    def bytes(self, sources: int) -> float:  # noqa: ARG002 - for compressors that count
        """Return the bytes that packing so many tokens and latents of a rollout takes for a moment; 0: not counted."""
        return 0.0

    def __deepcopy__(self, memo: dict[int, object]) -> LearnedCompressor:
        """Return this very object: it holds weights, which histories that are copied share."""
        return self

    def embed(self, latents: Float[Tensor, "env latent width"]) -> Float[Tensor, "env latent width"]:
        """Return latents as tokens of the policy's stack, without positions: as they are, where nothing is added."""
        return latents


class CompressingPolicy(StackedPolicy):
    """A policy that was trained with a compressor of its own.

    Without latents it is a policy like any other, over contexts of its newest transitions.
    """

    @property
    @abstractmethod
    def compressor(self) -> LearnedCompressor:
        """The compressor that it was trained with."""

    def opening(self, summaries: int) -> AbstractContextManager[None]:  # noqa: ARG002 - for policies whose mask differs
        """Return a block in which the layers attend as they do where so many latents stand at the front."""
        return nullcontext()

    def forward(self, tokens: Float[Tensor, "env token width"], summaries: int = 0) -> Float[Tensor, "env action"]:
        """Return the logits of the query's action; positions are added here.

        Parameters
        ----------
        tokens
            Embedded contexts, the query last.
        summaries
            Latents at the front, as `LearnedCompressor.embed` gives them.
        """
        with self.opening(summaries):
            return StackedPolicy.forward(self, tokens)


class OpenedAttention(TapedAttention):
    """Causal attention whose first tokens, the latents, see every token."""

    def __init__(self) -> None:
        super().__init__(causal=True)
        self.opened = 0
        """Tokens at the front that see every token."""

    def attend(
        self,
        queries: Float[Tensor, "env head query size"],
        keys: Float[Tensor, "env head slot size"],
        values: Float[Tensor, "env head slot size"],
        slots: int | Int[Tensor, "env slot"] = 0,
    ) -> Float[Tensor, "env head query size"]:
        """Attend with every token's query; the deciding query is the last."""
        if not self.opened:
            return super().attend(queries, keys, values, slots)
        allowed = opened_mask(queries.shape[-2], self.opened, queries.device)
        attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed)
        if self.tape is not None:
            whole = masked_map(queries, keys, allowed) if self.tape.with_maps else None
            self.tape.record(attention_row(queries[:, :, -1:], keys), whole)
        return attended

    def decide(
        self,
        queries: Float[Tensor, "env head query size"],
        keys: Float[Tensor, "env head slot size"],
        values: Float[Tensor, "env head slot size"],
        slots: int | Int[Tensor, "env slot"] = 0,
    ) -> Float[Tensor, "env head 1 size"]:
        """Attend with the deciding query alone; it sees every token, whether or not there are latents."""
        if not self.opened or self.tape is None or not self.tape.with_maps:
            return super().decide(queries, keys, values, slots)
        row = attention_row(queries[:, :, -1:], keys)
        allowed = opened_mask(queries.shape[-2], self.opened, queries.device)
        self.tape.record(row, masked_map(queries, keys, allowed))
        return row @ values


def opened_mask(tokens: int, opened: int, device: torch.device) -> Bool[Tensor, "query slot"]:
    """Return which slots each token sees: the earlier ones and its own, and all of them for the first `opened`."""
    allowed = torch.ones(tokens, tokens, dtype=torch.bool, device=device).tril_()
    allowed[:opened] = True
    return allowed


def masked_map(
    queries: Float[Tensor, "env head query size"],
    keys: Float[Tensor, "env head slot size"],
    allowed: Bool[Tensor, "query slot"],
) -> Float[Tensor, "env head query slot"]:
    """Return every query's attention over the slots that it sees."""
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
    return torch.softmax(scores.masked_fill(~allowed, -math.inf), dim=-1)
