"""Recording attention in the pass that produces the action.

An `AttentionTape` is a context manager around a policy's forward. It takes itself off again whatever happens, and it
refuses a recording with layers missing or rows that do not sum to one. What the policy computes for its output is the
same code with and without a tape, so recording cannot change an action.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.errors import CaptureInvalidError
from attnscope_model.policy import Policy

SUM_TOLERANCE = 1e-4
"""How far a recorded float32 row may sum from 1."""


class AttentionTape:
    """Record the decision rows, and where asked the whole maps, of one forward.

    Parameters
    ----------
    policy
        The policy whose forward runs inside the ``with`` block.
    maps
        Record whole maps too; they are computed beside the output.

    Raises
    ------
    CaptureInvalidError
        On leaving: a layer did not record exactly once, or a row does not sum to 1.
    """

    def __init__(self, policy: Policy, *, maps: bool = False) -> None:
        self.with_maps = maps
        self._sites = policy.attentions()
        self._rows: list[Tensor] = []
        self._maps: list[Tensor] = []

    def record(self, row: Float[Tensor, "env head 1 slot"], whole: Float[Tensor, "env head query slot"] | None) -> None:
        """Take down one layer."""
        self._rows.append(row[:, :, 0])
        if whole is not None:
            self._maps.append(whole)

    @property
    def rows(self) -> Float[Tensor, "env layer head slot"]:
        """The deciding query's attention."""
        return torch.stack(self._rows, dim=1)

    @property
    def maps(self) -> Float[Tensor, "env layer head query slot"] | None:
        """Every query's attention; None where it was not asked for."""
        return torch.stack(self._maps, dim=1) if self.with_maps else None

    def __enter__(self) -> Self:
        for site in self._sites:
            if site.tape is not None:
                raise RuntimeError("another tape is recording this policy")
        for site in self._sites:
            site.tape = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for site in self._sites:
            site.tape = None
        if error is None:
            self._check()

    def _check(self) -> None:
        layers = len(self._sites)
        if len(self._rows) != layers or (self.with_maps and len(self._maps) != layers):
            raise CaptureInvalidError(f"expected a record of each of {layers} layers, got {len(self._rows)}")
        off = (self.rows.sum(dim=-1) - 1).abs().max().item()
        if not off <= SUM_TOLERANCE:
            raise CaptureInvalidError(f"expected decision rows that sum to 1, got a sum {off:.2e} away from it")
