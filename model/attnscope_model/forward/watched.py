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

from attnscope_model.errors import CaptureInvalidError
from attnscope_model.forward.attention import TapedAttention
from attnscope_model.forward.policy import Policy

_DIMENSIONS: Final = 4
_AGREEMENT: Final = {torch.float32: 1e-3, torch.float64: 1e-3}
"""Distance of the noted row from the function's own attention, at most, relative to the largest value; by dtype."""
_COARSE_AGREEMENT: Final = 0.05
"""The same in half precision."""
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
        seen, looks_ahead = 0, False
        sites, envs, length = self.attentions(), *tokens.shape[:2]
        shape = (envs, self.description.heads, length)

        def note(queries: Tensor, keys: Tensor, values: Tensor, attended: Tensor, **options: Any) -> None:  # noqa: ANN401 - as the function takes them
            nonlocal seen, looks_ahead
            if seen < len(sites) and (tape := sites[seen].tape) is not None:
                whole = _weights(queries, keys, shape, **options)
                _refuse_other(whole, values, attended, queries.dtype)
                looks_ahead = looks_ahead or bool((whole.triu(1) > 0).any())
                tape.record(whole[:, :, -1:], whole if tape.with_maps else None)
            seen += 1

        with watching(note):
            logits = self.run(tokens)
        taped = any(site.tape is not None for site in sites)
        if taped and seen != len(sites):
            raise CaptureInvalidError(
                f"expected {len(sites)} calls of scaled_dot_product_attention, saw {seen}: a fused path (of "
                "nn.TransformerEncoderLayer or nn.MultiheadAttention in evaluation), a compiled module or a function "
                "imported by name goes around it; torch.backends.mha.set_fastpath_enabled(False) ends the first"
            )
        if taped and length > 1 and looks_ahead == self.description.causal:
            stated, found = ("causal", "a") if self.description.causal else ("non-causal", "no")
            raise CaptureInvalidError(f"the policy is described as {stated}, but {found} token attends to a later one")
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
        attended = original(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
        if threading.get_ident() == mine:
            note(
                query,
                key,
                value,
                attended,
                mask=attn_mask,
                dropout=dropout_p,
                is_causal=is_causal,
                scale=scale,
                grouped=enable_gqa,
            )
        return attended

    functional.scaled_dot_product_attention = watched
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = original
        _WATCHING.release()


def _weights(
    queries: Tensor,
    keys: Tensor,
    shape: tuple[int, int, int],
    *,
    mask: Tensor | None,
    dropout: float,
    is_causal: bool,
    scale: float | None,
    grouped: bool,
) -> Float[Tensor, "env head query slot"]:
    """Return the attention of one call; a mask and `is_causal` together hide what either hides, as torch has it."""
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
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(future, -math.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype is torch.bool else scores + mask
    return torch.softmax(scores, dim=-1)


def _refuse_other(whole: Tensor, values: Tensor, attended: Tensor, dtype: torch.dtype) -> None:
    """Refuse a deciding row that does not give what the function itself attended: it read the call otherwise."""
    heads = whole.shape[1]
    values = values.float().repeat_interleave(heads // values.shape[1], dim=1)
    apart = (whole[:, :, -1:] @ values - attended[:, :, -1:].float()).abs().max()
    if not bool(apart <= _AGREEMENT.get(dtype, _COARSE_AGREEMENT) * values.abs().max().clamp_min(1e-6)):
        raise CaptureInvalidError(
            f"the attention that was noted gives other values than scaled_dot_product_attention did, by {apart:.2g}"
        )
