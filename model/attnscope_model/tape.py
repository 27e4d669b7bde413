"""Recording attention in the pass that produces the action.

An `AttentionTape` is a context manager around a policy's forward. It takes itself off again whatever happens, and it
refuses a recording with layers missing or rows that do not sum to one. What the policy computes for its output is the
same code with and without a tape, so recording cannot change an action.
"""

from __future__ import annotations

from types import TracebackType
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.errors import CaptureInvalidError
from attnscope_model.policy import Policy

SUM_TOLERANCE: Final = 1e-4
"""How far a recorded float32 row may sum from 1."""


class AttentionTape:
    """Record the decision rows, and where asked the whole maps, of one forward.

    Parameters
    ----------
    policy
        The policy whose forward runs inside the ``with`` block.
    maps
        Record whole maps too; they are computed beside the output.
    deferred
        Do not look at the sums on leaving: the caller does, with `furthest_off` and `refuse_off`.

    Raises
    ------
    CaptureInvalidError
        On leaving: a layer did not record exactly once, or a row does not sum to 1.
    """

    def __init__(self, policy: Policy, *, maps: bool = False, deferred: bool = False) -> None:
        self.with_maps = maps
        self._deferred = deferred
        self._sites = policy.attentions()
        self._layers = policy.description.layers
        self._recorded_rows: list[Tensor] = []
        self._recorded_maps: list[Tensor] = []
        self._rows: Tensor | None = None

    def record(self, row: Float[Tensor, "env head 1 slot"], whole: Float[Tensor, "env head query slot"] | None) -> None:
        """Take down one layer."""
        self._recorded_rows.append(row[:, :, 0])
        if whole is not None:
            self._recorded_maps.append(whole)

    @property
    def rows(self) -> Float[Tensor, "env layer head slot"]:
        """The deciding query's attention; readable once the block has ended well."""
        if self._rows is None:
            raise CaptureInvalidError("nothing is recorded: run a forward inside the tape's block first")
        return self._rows

    @property
    def maps(self) -> Float[Tensor, "env layer head query slot"] | None:
        """Every query's attention; None where it was not asked for."""
        return torch.stack(self._recorded_maps, dim=1) if self.with_maps else None

    def __enter__(self) -> AttentionTape:  # noqa: PYI034 - beartype reads annotations outside the class
        if any(site.tape is not None for site in self._sites):
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
            self._rows = self._checked()

    def _checked(self) -> Tensor:
        recorded = len(self._recorded_rows)
        if recorded != self._layers or (self.with_maps and len(self._recorded_maps) != self._layers):
            raise CaptureInvalidError(f"expected one record of each of {self._layers} layers, got {recorded} records")
        rows = torch.stack(self._recorded_rows, dim=1)
        if not self._deferred:
            refuse_off(furthest_off(rows))
        return rows


def furthest_off(rows: Float[Tensor, "env layer head slot"]) -> Float[Tensor, ""]:
    """Return how far a row's sum is from 1 at most; NaN where one is."""
    return (rows.sum(dim=-1) - 1).abs().max()


def refuse_off(off: Float[Tensor, ""]) -> None:
    """Raise `CaptureInvalidError` where rows do not sum to 1; on a GPU this waits for it."""
    distance = off.item()
    if not distance <= SUM_TOLERANCE:
        raise CaptureInvalidError(f"expected decision rows that sum to 1, got a sum {distance:.2e} away from it")
