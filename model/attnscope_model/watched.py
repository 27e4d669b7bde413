"""Attention of modules that are not ours: what goes through torch's ``scaled_dot_product_attention``, taken down.

A third party's policy derives from `WatchedPolicy` and calls its module as it is. While that runs, the function is
replaced in ``torch.nn.functional`` by one that gives the same result from the same call and notes the deciding row
beside it. Recording starts and ends with the forward, whatever happens in it, and what was not seen is an error: a
fused encoder path or a compiled module that goes around the function is refused rather than stored with layers
missing.
"""

from __future__ import annotations

import math
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from attnscope_model.attention import Recorder, TapedAttention
from attnscope_model.errors import CaptureInvalidError
from attnscope_model.policy import Policy

_DIMENSIONS: Final = 4
_WATCHING: Final = threading.Lock()
"""Held while the function is replaced: one watched forward at a time in a process."""


class WatchedPolicy(Policy):
    """A policy whose attention is seen from outside.

    A subclass sets `description`, embeds tokens, and computes logits in `run` with whatever module it holds. The
    module must call ``torch.nn.functional.scaled_dot_product_attention`` once a layer, layers in their order, with
    [env, head, token, size] tensors, over every token of the context, the deciding one last.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sites: list[TapedAttention] = []

    @abstractmethod
    def run(self, tokens: Float[Tensor, "env token width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the query's action, by the foreign module."""

    def attentions(self) -> list[TapedAttention]:
        """Return a place for a tape in each layer that the description promises."""
        if not self._sites:
            causal = self.description.causal
            self._sites = [TapedAttention(causal=causal) for _ in range(self.description.layers)]
        return self._sites

    def forward(self, tokens: Float[Tensor, "env token width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the query's action; the same code runs whether a tape is on or not.

        Raises
        ------
        CaptureInvalidError
            A tape is on, and other attention was seen than the description promises.
        """
        seen = 0
        sites, envs, length = self.attentions(), *tokens.shape[:2]
        shape = (envs, self.description.heads, length)

        def note(queries: Tensor, keys: Tensor, **options: Any) -> None:  # noqa: ANN401 - as the function takes them
            nonlocal seen
            if seen < len(sites) and (tape := sites[seen].tape) is not None:
                _record(tape, queries, keys, shape, self.description.causal, **options)
            seen += 1

        with watching(note):
            logits = self.run(tokens)
        if any(site.tape is not None for site in sites) and seen != len(sites):
            raise CaptureInvalidError(
                f"expected {len(sites)} calls of scaled_dot_product_attention, saw {seen}: a fused path (of "
                "nn.TransformerEncoderLayer or nn.MultiheadAttention in evaluation), a compiled module or a function "
                "imported by name goes around it; torch.backends.mha.set_fastpath_enabled(False) ends the first"
            )
        return logits


@contextmanager
def watching(note: Callable[..., None]) -> Iterator[None]:
    """Tell `note` of every call of ``scaled_dot_product_attention`` in this thread, until the block ends.

    Raises
    ------
    RuntimeError
        The function is watched already, by this thread.
    """
    mine = threading.get_ident()
    if not _WATCHING.acquire(timeout=60):
        raise RuntimeError("another watched policy has been running for a minute")
    original = functional.scaled_dot_product_attention

    def watched(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        if threading.get_ident() == mine:
            note(
                query,
                key,
                mask=attn_mask,
                dropout=dropout_p,
                is_causal=is_causal,
                scale=scale,
                grouped=enable_gqa,
            )
        return original(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)

    functional.scaled_dot_product_attention = watched
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = original
        _WATCHING.release()


def _record(
    tape: Recorder,
    queries: Tensor,
    keys: Tensor,
    shape: tuple[int, int, int],
    causal: bool,
    *,
    mask: Tensor | None,
    dropout: float,
    is_causal: bool,
    scale: float | None,
    grouped: bool,
) -> None:
    """Take down one layer: the deciding row, and the whole map where the tape asks for it."""
    if dropout:
        raise CaptureInvalidError(f"expected a module in evaluation, got attention with dropout {dropout}")
    if queries.ndim != _DIMENSIONS or tuple(queries.shape[:3]) != shape or keys.shape[2] != shape[2]:
        raise CaptureInvalidError(
            f"expected queries and keys of [env, head, token, size] with {list(shape)}, got {list(queries.shape)} "
            f"and {list(keys.shape)}"
        )
    if grouped:
        keys = keys.repeat_interleave(queries.shape[1] // keys.shape[1], dim=1)
    scores = (
        queries.float()
        @ keys.float().transpose(-2, -1)
        * (1 / math.sqrt(queries.shape[-1]) if scale is None else scale)
    )
    if is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype is torch.bool else scores + mask
    whole = torch.softmax(scores, dim=-1)
    if causal and bool((whole.triu(1) > 0).any()):
        raise CaptureInvalidError("the policy is described as causal, but a token attends to a later one")
    tape.record(whole[:, :, -1:], whole if tape.with_maps else None)
