"""The attention behind one call of ``scaled_dot_product_attention``: of its last query, or of every query.

Reads a call as torch does: mask, scale, causality and grouped heads. Knows no policy and no tape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.errors import CaptureInvalidError

_DIMENSIONS: Final = 4
_AGREEMENT: Final = {torch.float32: 1e-3, torch.float64: 1e-3}
"""Distance of the noted row from the function's own attention, at most, relative to the largest value; by dtype."""
_COARSE_AGREEMENT: Final = 0.05
"""The same in half precision."""


@dataclass(frozen=True)
class AttentionCall:
    """One call: its tensors, its options, and what the function returned."""

    query: Tensor
    key: Tensor
    value: Tensor
    attended: Tensor
    mask: Tensor | None
    dropout: float
    is_causal: bool
    scale: float | None

    @property
    def whole(self) -> bool:
        """True where every slot has a query, so that there is a whole map."""
        return self.query.shape[2] == self.key.shape[2]

    def refuse_other(self, envs: int, heads: int, tokens: int) -> None:
        """Refuse a call that is not over so many environments, heads and slots, or that drops weights.

        Raises
        ------
        CaptureInvalidError
            The call is another than the description promises, or the module is not in evaluation.
        """
        if self.dropout:
            raise CaptureInvalidError(f"expected a module in evaluation, got attention with dropout {self.dropout}")
        query, key = list(self.query.shape), list(self.key.shape)
        fits = len(query) == len(key) == _DIMENSIONS and query[:2] == [envs, heads] and key[2] == tokens
        if not fits or query[2] > tokens or heads % key[1]:
            raise CaptureInvalidError(
                f"expected queries and keys of [env, head, token, size] with {[envs, heads, tokens]}, got {query} "
                f"and {key}"
            )

    def row(self) -> Float[Tensor, "env head 1 slot"]:
        """Return the attention of the last query, in float32.

        Raises
        ------
        CaptureInvalidError
            The row does not give what the function attended: it read its arguments otherwise.
        """
        return self._agreeing(self._weights(self.query.shape[2] - 1))

    def map(self) -> Float[Tensor, "env head query slot"]:
        """Return the attention of every query, in float32.

        Raises
        ------
        CaptureInvalidError
            The last row does not give what the function attended.
        """
        return self._agreeing(self._weights(0))

    def _weights(self, first: int) -> Float[Tensor, "env head query slot"]:
        """Return the attention from a query on; a mask and `is_causal` together hide what either hides."""
        query, key = self.query[:, :, first:].float(), self.key.float()
        scores = _grouped(query, key.shape[1]) @ key.unsqueeze(2).transpose(-2, -1)
        scores = scores.flatten(1, 2) * (1 / math.sqrt(query.shape[-1]) if self.scale is None else self.scale)
        if self.is_causal:
            future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1 + first)
            scores = scores.masked_fill(future, -math.inf)
        if self.mask is not None:
            mask = self.mask if self.mask.shape[-2] == 1 else self.mask[..., first:, :]
            scores = scores.masked_fill(~mask, -math.inf) if mask.dtype is torch.bool else scores + mask
        return torch.softmax(scores, dim=-1)

    def _agreeing(self, weights: Tensor) -> Tensor:
        """Return weights whose last row gives what the function attended."""
        values = self.value.float()
        attended = (_grouped(weights[:, :, -1:], values.shape[1]) @ values.unsqueeze(2)).flatten(1, 2)
        apart = (attended - self.attended[:, :, -1:].float()).abs().max()
        most = _AGREEMENT.get(self.query.dtype, _COARSE_AGREEMENT)
        if not bool(apart <= most * values.abs().max().clamp_min(1e-6)):
            raise CaptureInvalidError(
                f"the attention that was noted gives other values than scaled_dot_product_attention did, by {apart:.2g}"
            )
        return weights


def _grouped(x: Float[Tensor, "env head query size"], groups: int) -> Float[Tensor, "env group member query size"]:
    """Return query heads by the key head that they share; consecutive heads share one."""
    return x.reshape(x.shape[0], groups, -1, *x.shape[2:])
