"""The tokens that the last decision attended to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float

from attnscope_model.strategies.arrays import Array
from attnscope_model.strategies.base import Scored
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class LastRow(Scored):
    """Keep the tokens with the most attention in the last decision row (TOVA: Oren et al., 2024)."""

    name: ClassVar[str] = "tova"
    order: ClassVar[int] = 70
    needs: ClassVar[frozenset[str]] = frozenset({"attention"})
    simplicity: ClassVar[int] = 4

    def score(self, view: ContextView) -> Float[Array, "*batch entry"]:
        """Return the attention of the newest row that the view has."""
        assert view.attention is not None  # noqa: S101 - `plan` refused the view otherwise
        return view.attention[..., -1, :]
