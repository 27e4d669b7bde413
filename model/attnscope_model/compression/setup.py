"""A compression, and the check that it fits a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attnscope_model.families import OWN_FAMILIES
from attnscope_model.strategies import Strategy
from attnscope_storage.wire import PolicyDescription
from attnscope_storage.wire.specifications.arms import Memory, PositionPolicy, Recompute

ATTENTION_FIELDS = frozenset({"attention", "accumulated", "expected"})
"""Fields of a view that need decision rows."""


@dataclass(frozen=True)
class Compression:
    """A strategy at a budget, and everything else that says what the policy then sees."""

    rule: Strategy
    budget: int | float | None = None
    """Transitions of history that may be kept: a number, or a share of what the uncompressed window holds."""
    positions: PositionPolicy = "reindex"
    interval: int | Literal["full"] = 1
    memory: Memory = "stateless"
    path: Recompute = "recompute"

    def limit(self, held: int) -> int:
        """Return the transitions that may be kept while the uncompressed window holds `held`; at least one."""
        if self.budget is None:
            return max(1, held)
        if isinstance(self.budget, float):
            return max(1, int(held * self.budget + 1e-9))
        return min(self.budget, max(1, held))

    @property
    def looks(self) -> bool:
        """True where the strategy looks at attention."""
        return bool(self.rule.uses & ATTENTION_FIELDS)

    @property
    def leaves_out(self) -> bool:
        """True where the strategy looks at what leaving each entry out would do."""
        return "influence" in self.rule.uses

    @property
    def rows(self) -> int:
        """Decision rows that the strategy looks at, at most."""
        return self.rule.decision_rows


def unfit(policy: PolicyDescription, positions: PositionPolicy, memory: Memory, path: Recompute) -> str | None:
    """Return why contexts of this policy cannot be compressed so, None where they can.

    Parameters
    ----------
    policy
        Description of the policy.
    positions
        Position policy of the condition.
    memory
        ``stateless`` or ``stateful``.
    path
        ``recompute`` or ``cached``.
    """
    if path == "recompute" and memory == "stateful" and positions in {"keep", "mask"}:
        return f"{positions} needs the stored window, which a stateful context has not"
    if path == "cached":
        if memory == "stateless":
            return "kept keys and values are a stateful context: what is dropped is gone"
        if not policy.causal or policy.query_slot != "last":
            return "kept keys and values need a causal policy whose query stands last"
        if not policy.by_distance:
            return (
                "kept keys and values need positions by distance (rotary, alibi, relative), not "
                f"{policy.positions}: they stand where they stood"
            )
        if positions not in {"reindex", "keep"}:
            return f"kept keys and values stand where they stood (keep) or close up (reindex), not {positions}"
    return None


def default_positions(policy: PolicyDescription, memory: Memory = "stateless") -> PositionPolicy:
    """Return where kept tokens stand where nobody says so.

    Learned absolute positions are kept: a renumbered context is one that such a policy was hardly trained on, and only
    some of its lengths work. Every other policy closes up: so does one of an installed family, whose layers may not say
    where tokens stand, and a context that has lost its window.

    Parameters
    ----------
    policy
        Description of the policy.
    memory
        ``stateless`` or ``stateful``; a stateful context has lost its window.
    """
    places = policy.family in OWN_FAMILIES and policy.positions == "learned-absolute"
    return "keep" if places and memory == "stateless" else "reindex"
