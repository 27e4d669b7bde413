"""The facts that a foreign source states beside its weights, and the attributes of a capture made of it.

A fact that the source does not state is None here and in the capture, never zero and never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

import numpy as np
from jaxtyping import Float64

UNKNOWN: Final = "unknown"
"""Stands in texts for a name that the source does not state."""

MAX_NAME: Final = 200
"""Characters of a policy's name."""


@dataclass(frozen=True, eq=False)
class Facts:
    """The known facts of a foreign capture; None is unknown."""

    source: str
    """File, or what the arrays were called."""
    digest: str
    """sha256 of the content, hex; it names the capture."""
    name: str
    steps: int
    envs: int
    layers: int
    heads: int
    slots: int
    """Tokens of the longest context."""
    causal: bool | None
    causal_by: str
    """The source of the statement that the mask is causal or not."""
    query_slot: Literal["first", "last"] = "last"
    tokens_per_transition: int = 1
    width: int | None = None
    actions: int | None = None
    environment: str | None = None
    horizon: int | None = None
    returns: Float64[np.ndarray, "env episode"] | None = None
    """Return of every finished episode."""
    map_steps: tuple[int, ...] = ()
    known: frozenset[str] = field(default_factory=frozenset)
    """Arrays of the rollout and the environments that the source says, by their names in a capture."""

    def attributes(self) -> dict[str, Any]:
        """Return the root attributes of the capture."""
        name = self.name[:MAX_NAME] or UNKNOWN
        environment = self.environment or UNKNOWN
        return {
            "job": str(UUID(self.digest[:32])),
            "owner": "imported",
            "spec": {"kind": "capture", "checkpoint": name},
            "resolved": {
                "checkpoint_id": self.digest,
                "checkpoint_name": name,
                "environment_id": environment,
                "preset": UNKNOWN,
                "horizon": self.horizon or 0,
                "tasks": [],
                "held_out": None,
                "envs": self.envs,
                "steps": self.steps,
                "map_steps": list(self.map_steps),
                "row_envs": list(range(self.envs)),
                "row_layers": list(range(self.layers)),
                "row_heads": list(range(self.heads)),
            },
            "policy": self._policy(),
            "query_slot": self.query_slot,
            "tokens_per_transition": self.tokens_per_transition,
            "episode_returns": None if self.returns is None else self.returns.tolist(),
            "provenance": {
                "checkpoint": f"file {self.digest}",
                "checkpoint_name": name,
                "family": UNKNOWN,
                "causal": self.causal,
                "causal_stated_by": self.causal_by,
                "environment": environment,
                "seeds": [UNKNOWN],
                "imported_from": self.source,
            },
        }

    def _policy(self) -> dict[str, Any]:
        return {
            "layers": self.layers,
            "heads": self.heads,
            "family": UNKNOWN,
            "width": self.width,
            "context_length": self.slots,
            "actions": self.actions,
            "causal": self.causal,
            "positions": None,
            "query_slot": self.query_slot,
            "tokens_per_transition": self.tokens_per_transition,
            "observation": None,
            "parameters": None,
        }
