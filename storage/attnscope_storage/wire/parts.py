"""Stores that belong to another store: how they are named, and how their ids follow from their owner's."""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

CHILDREN: Final = UUID("7d2f5f0a-5a0e-4c0a-9a57-6e1f0d0f7c11")
"""Name space of the ids of child stores."""

PART_OF: Final = "part_of"
"""Root attribute of a child store: the store that owns it, and its name there."""

LISTED: Final = "children"
"""Root attribute of a store that owns others: name → id, of all that it may come to have."""

CAPTURE: Final = "capture"
"""Child store of a decision that holds its capture; a decision that links another job's capture has none."""

SCREEN: Final = "screen"
"""Child store of a decision that holds its screen."""


def child_id(store: UUID, name: str) -> UUID:
    """Return the id of a child store, which follows from its owner's id and its name."""
    return uuid5(CHILDREN, f"{store}/{name}")


def race_name(budget: str, number: int) -> str:
    """Return the name of the child store of one round of a race, counted from 1."""
    return f"race/{budget}/round-{number}"


def look_name(rung: int, look: int) -> str:
    """Return the name of the child store of one look at a rung, both counted from 1."""
    return f"rung-{rung}/look-{look}"
