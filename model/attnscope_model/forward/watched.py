"""Attention of modules that are not ours: what goes through torch's ``scaled_dot_product_attention``, taken down.

A third party's policy derives from `WatchedPolicy` and calls its module as it is. While that runs, the function is
replaced in ``torch.nn.functional`` by one that gives the same result from the same call and notes the deciding row
beside it. A module that computes attention by itself hands its weights to `WatchedPolicy.note_row` instead. Recording
starts and ends with the forward, whatever happens in it, and what was not seen is an error: a fused encoder path or a
compiled module that goes around the function is refused rather than stored with layers missing.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from attnscope_model.errors import CaptureInvalidError
from attnscope_model.forward.attention import Recorder, TapedAttention
from attnscope_model.forward.noting import AttentionCall
from attnscope_model.forward.policy import Policy

LOOKED_AT: Final = 32
"""Tokens up to which every taped context is looked at whole. A capture's contexts grow from one token, so these are its
first decisions; longer contexts are looked at where whole maps are recorded."""

_WATCHING: Final = threading.Lock()
"""Held while the function is replaced: one watched forward at a time in a process."""


class WatchedPolicy(Policy):
    """A policy whose attention is seen from outside.

    A subclass sets `description`, embeds tokens, and computes logits in `run` with whatever module it holds. In each
    layer, layers in their order, the module calls ``torch.nn.functional.scaled_dot_product_attention`` once with
    [env, head, token, size] tensors, or has its own weights given to `note_row` once. Keys cover every token of the
    context; queries may be fewer, the deciding one last, and may share key heads. Whole maps need every query.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sites: list[TapedAttention] = []
        self._notes: _Notes | None = None

    @abstractmethod
    def run(self, tokens: Float[Tensor, "env token width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the query's action, by the foreign module."""

    def attentions(self) -> list[TapedAttention]:
        """Return a place for a tape in each layer that the description promises."""
        if not self._sites:
            causal = self.description.causal
            self._sites = [TapedAttention(causal=causal) for _ in range(self.description.layers)]
        return self._sites

    def note_row(self, weights: Float[Tensor, ...]) -> None:
        """Take down one layer's attention that the module computed by itself.

        Parameters
        ----------
        weights
            [env, head, query, slot], each row of which sums to 1: of the deciding query alone, or of several with the
            deciding one last. Whole maps are recorded only where every query is given.

        Raises
        ------
        CaptureInvalidError
            They have another shape than the description promises.
        RuntimeError
            No forward of this policy is running.
        """
        if self._notes is None:
            raise RuntimeError("expected note_row to be called by the module while the policy's forward runs")
        self._notes.handed(weights)

    def forward(self, tokens: Float[Tensor, "env token width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the query's action; the same code runs whether a tape is on or not.

        Raises
        ------
        CaptureInvalidError
            A tape is on, and other attention was seen than the description promises.
        """
        envs, length = tokens.shape[:2]
        self._notes = notes = _Notes(self.attentions(), envs, self.description.heads, length)
        try:
            with watching(notes.called):
                logits = self.run(tokens)
        finally:
            self._notes = None
        notes.refuse_other(causal=self.description.causal)
        return logits


class _Notes:
    """The attention that one forward was seen to compute."""

    def __init__(self, sites: list[TapedAttention], envs: int, heads: int, tokens: int) -> None:
        self._sites, self._shape = sites, (envs, heads, tokens)
        self._seen = 0
        self._whole: bool = False
        self._looks_ahead = False

    def called(self, call: AttentionCall) -> None:
        """Note a call of the function."""
        if (tape := self._next_tape()) is None:
            return
        call.refuse_other(*self._shape)
        if tape.with_maps or self._shape[2] <= LOOKED_AT:
            self._take(tape, call.map())
        else:
            self._take(tape, call.row())

    def handed(self, weights: Float[Tensor, ...]) -> None:
        """Note weights that the module computed by itself."""
        if (tape := self._next_tape()) is None:
            return
        envs, heads, tokens = self._shape
        queries = weights.shape[2] if weights.ndim == 4 else 0  # noqa: PLR2004 - env, head, query, slot
        if not 1 <= queries <= tokens or tuple(weights.shape) != (envs, heads, queries, tokens):
            raise CaptureInvalidError(
                f"expected weights of [env, head, query, slot] with {list(self._shape)}, got {list(weights.shape)}"
            )
        looked_at = tape.with_maps or tokens <= LOOKED_AT
        self._take(tape, (weights if looked_at else weights[:, :, -1:]).float())

    def refuse_other(self, *, causal: bool) -> None:
        """Refuse a taped forward with layers missing or too many, or with another mask than described."""
        if all(site.tape is None for site in self._sites):
            return
        if self._seen != len(self._sites):
            raise CaptureInvalidError(
                f"expected {len(self._sites)} calls of scaled_dot_product_attention, saw {self._seen}: a fused path "
                "(of nn.TransformerEncoderLayer or nn.MultiheadAttention in evaluation), a compiled module or a "
                "function imported by name goes around it; torch.backends.mha.set_fastpath_enabled(False) ends the "
                "first. Weights that the module computes by itself are given to note_row"
            )
        if self._whole and self._looks_ahead == causal:
            said, found = ("causal", "a") if causal else ("non-causal", "no")
            raise CaptureInvalidError(f"the policy is described as {said}, but {found} token attends to a later one")

    def _next_tape(self) -> Recorder | None:
        """Count a layer, and return the tape that records it, if any."""
        self._seen += 1
        return self._sites[self._seen - 1].tape if self._seen <= len(self._sites) else None

    def _take(self, tape: Recorder, weights: Float[Tensor, "env head query slot"]) -> None:
        """Give a layer's row to its tape, and its map where that is wanted."""
        queries, slots = weights.shape[2:]
        if tape.with_maps and queries < slots:
            raise CaptureInvalidError(
                f"a whole map needs every token's query, and the module computes {queries} of {slots}: "
                "ask for a capture without maps"
            )
        if queries > 1:
            self._whole = True
            self._looks_ahead = self._looks_ahead or bool((weights.triu(1 + slots - queries) > 0).any())
        tape.record(weights[:, :, -1:], weights if tape.with_maps else None)


@contextmanager
def watching(note: Callable[[AttentionCall], None]) -> Iterator[None]:
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
            note(AttentionCall(query, key, value, attended, attn_mask, dropout_p, is_causal, scale))
        return attended

    functional.scaled_dot_product_attention = watched
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = original
        _WATCHING.release()
