"""Why a rollout did not begin, or ended before its last step."""

from __future__ import annotations

from attnscope_storage.errors import AttnscopeError


class RolloutStoppedError(AttnscopeError):
    """The rollout was told to stop."""


class SlotGivenBackError(AttnscopeError):
    """The job is not over, and lets others go first; run again, it goes on from its last commit."""


class NotReproducibleError(AttnscopeError):
    """The resumed environment gave other observations than those that are stored."""


class PrecisionUnavailableError(AttnscopeError):
    """The device has no such precision."""
