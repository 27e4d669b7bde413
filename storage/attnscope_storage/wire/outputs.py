"""The output of a policy's head: what its numbers mean, and the shape of the action that follows from them.

Nothing here computes; `attnscope_model.acting.outputs` does.
"""

from __future__ import annotations

import math
from typing import Final, Literal

from pydantic import Field

from attnscope_storage.wire.base import Received

LOGITS: Final = "policy/logits"
"""Array of the heads that choose among actions."""

OUTPUT: Final = "policy/output"
"""Array of the heads whose action is a vector."""

MOST_COMBINATIONS: Final = 128
"""Combinations of several choices that a decision tells apart, at most."""

OutputKind = Literal["choice", "gaussian", "vector"]
"""Kind of a head. choice: logits of discrete actions. gaussian: the mean of an action vector, then the logarithms of
its standard deviations. vector: the action itself, without a distribution."""

OutputArray = Literal["policy/logits", "policy/output"]


class OutputDescription(Received):
    """The meaning of the numbers that a policy's head gives at a decision."""

    kind: OutputKind = "choice"
    branches: tuple[int, ...] = Field(
        default=(),
        description="Sizes of the independent choices that make one action, in the order of their logits; empty where "
        "there is one choice among all actions.",
    )
    squashed: bool = Field(default=False, description="The hyperbolic tangent of what a Gaussian draws is the action.")
    scale: tuple[float, ...] = Field(
        default=(), description="Numbers by which differences of action vectors are divided; empty: by 1."
    )

    @property
    def continuous(self) -> bool:
        """True where an action is a vector of real numbers."""
        return self.kind != "choice"

    @property
    def one_choice(self) -> bool:
        """True where an action is one whole number, as predicted costs need it."""
        return self.kind == "choice" and not self.branches

    @property
    def why_undecided(self) -> str | None:
        """The reason for which no decision can be made about such a policy; None where one can."""
        if self.continuous:
            counts = "a decision counts the decisions in which two actions differ"
            return f"it gives an action vector, and {counts}; two vectors nearly always do"
        if (many := math.prod(self.branches)) > MOST_COMBINATIONS:
            chosen = f"it makes {len(self.branches)} choices at once, of {many} combinations"
            return f"{chosen}, and a decision tells at most {MOST_COMBINATIONS} apart"
        return None

    @property
    def array(self) -> OutputArray:
        """Name of the array that a store holds the numbers in."""
        return OUTPUT if self.continuous else LOGITS

    @property
    def meaning(self) -> str:
        """The numbers in words, for the attributes of an array."""
        words = {
            "choice": "before temperature",
            "gaussian": "mean of the action, then log standard deviation, before any tanh",
            "vector": "the action, which the head gives without a distribution",
        }
        return words[self.kind]

    @property
    def departure(self) -> str:
        """The meaning of a departure between two such heads, for captions and attributes."""
        if self.kind == "gaussian":
            return (
                "total variation of the two Gaussians before any tanh: exact where their deviations are equal, else "
                "estimated from 64 common draws"
            )
        if self.kind == "vector":
            return "scaled distance ‖a − b‖ of the two actions: it orders arms and is no probability"
        if self.branches:
            return "upper bound 1 − Π(1 − TV_b) over the branches, each ½ Σ|π_full − π_arm| of the acted distributions"
        return "total variation ½ Σ|π_full − π_arm| of the acted distributions"

    @property
    def influence(self) -> str:
        """Unit of what a decision changes by without a transition: a divergence, or the distance of action vectors."""
        return "scaled distance" if self.kind == "vector" else "nats"

    @property
    def is_share(self) -> bool:
        """True where a departure is a probability or its bound, so that it lies between 0 and 1."""
        return self.kind != "vector"

    @property
    def lacks(self) -> frozenset[str]:
        """The measures that two such heads do not have, by the names of a screen's arrays.

        An action vector has no most likely one that could be another; without a distribution there is no divergence.
        """
        by_kind: dict[str, set[str]] = {"choice": set(), "gaussian": {"flip"}, "vector": {"flip", "kl", "signed"}}
        return frozenset(by_kind[self.kind])

    def numbers(self, actions: int) -> int:
        """Return how many numbers the head gives.

        Parameters
        ----------
        actions
            Actions to choose from, those of all branches together; or the numbers of an action vector.
        """
        return 2 * actions if self.kind == "gaussian" else actions

    def action_axis(self, actions: int) -> tuple[tuple[str, int], ...]:
        """Return the axis that an action has beside its environment; none where it is one whole number."""
        if self.continuous:
            return (("component", actions),)
        return (("branch", len(self.branches)),) if self.branches else ()

    def head_axis(self, actions: int) -> tuple[str, int]:
        """Return the last axis of the array of the head's numbers."""
        return ("output" if self.continuous else "action", self.numbers(actions))

    def head_attributes(self, beside: str = "") -> dict[str, object]:
        """Return the attributes of the array of the head's numbers, whose meaning stands behind some words."""
        sizes = {"branches": list(self.branches)} if self.branches else {}
        return {"long_name": f"{beside}{self.meaning}", **sizes}

    @property
    def action_dtype(self) -> Literal["int32", "float32"]:
        """Type in which actions are stored."""
        return "float32" if self.continuous else "int32"

    def why_unfit(self, actions: int | None) -> str | None:
        """Return why this cannot describe a head of so many actions, None an unknown number; None where it can."""
        if actions is None:
            return None if self == ONE_CHOICE else "the number of actions is not known"
        if self.branches and self.continuous:
            return f"branches are of discrete choices, not of a head of kind {self.kind}"
        if self.branches and (min(self.branches) < 1 or sum(self.branches) != actions):
            return f"expected branches of sizes that add up to {actions} actions, got {list(self.branches)}"
        if self.squashed and self.kind != "gaussian":
            return f"expected squashed only of a Gaussian, got it of a head of kind {self.kind}"
        if self.scale and (len(self.scale) != actions or not all(0 < one < float("inf") for one in self.scale)):
            return f"expected {actions} positive numbers as scale, got {list(self.scale)}"
        return None


ONE_CHOICE: Final = OutputDescription()
"""One choice among all actions, as every policy was described before there were other heads."""
