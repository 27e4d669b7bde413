"""The tokens without which the decision changes most: what attention is judged against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float

from attnscope_model.strategies.arrays import Array
from attnscope_model.strategies.base import Scored
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class LeaveOneOut(Scored):
    """Keep the tokens whose absence moves the decision furthest, by KL(π_full ‖ π_without one) (an oracle).

    Each is judged alone beside all the others, so that of two copies of one event neither may seem to matter. Action
    vectors without a distribution are compared by their distance.
    """

    name: ClassVar[str] = "leave-one-out"
    order: ClassVar[int] = 190
    needs: ClassVar[frozenset[str]] = frozenset({"influence"})
    simplicity: ClassVar[int] = 7
    oracle: ClassVar[str | None] = "it runs the policy once for every token of the whole context before each decision"

    def score(self, view: ContextView) -> Float[Array, "*batch entry"]:
        """Return the divergence that leaving each entry out causes."""
        assert view.influence is not None  # noqa: S101 - `plan` refused the view otherwise
        return view.influence
