"""The sizes that every family's configuration has, and the description that a stack of that size gives of itself."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal, Protocol

from torch import nn

from attnscope_storage.wire import ObservationKind, PolicyDescription, TokenKind
from attnscope_storage.wire.policies import PositionKind


class Sizes(Protocol):
    """The fields that every family's configuration has, in whatever order."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers of a token."""

    @property
    @abstractmethod
    def layers(self) -> int:
        """Layers of the stack."""

    @property
    @abstractmethod
    def heads(self) -> int:
        """Heads of a layer, which share the width."""

    @property
    @abstractmethod
    def feedforward(self) -> int:
        """Numbers between the two maps that follow attention."""

    @property
    @abstractmethod
    def context_length(self) -> int:
        """Tokens of a full context, the query among them."""

    @property
    @abstractmethod
    def actions(self) -> int:
        """Actions to choose from."""


def described(
    sizes: Sizes,
    parameters: int,
    *,
    family: str,
    positions: PositionKind,
    causal: bool = True,
    query_slot: Literal["first", "last"] = "last",
    token_kinds: tuple[TokenKind, ...] = ("transition",),
    observation: ObservationKind = "cell",
) -> PolicyDescription:
    """Return the description of a policy of these sizes."""
    return PolicyDescription(
        family=family,
        layers=sizes.layers,
        heads=sizes.heads,
        width=sizes.width,
        context_length=sizes.context_length,
        actions=sizes.actions,
        causal=causal,
        positions=positions,
        query_slot=query_slot,
        tokens_per_transition=len(token_kinds),
        token_kinds=token_kinds,
        observation=observation,
        parameters=parameters,
    )


def parameters_of(policy: nn.Module) -> int:
    """Return how many parameters a policy has."""
    return sum(parameter.numel() for parameter in policy.parameters())
