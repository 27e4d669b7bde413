"""The test for the compiled attention (`attnscope_model.forward.fused`). Imports no torch: a service may ask."""

from __future__ import annotations

import importlib.util
from typing import Final

from attnscope_storage.wire import PolicyDescription

LARGEST_HEAD: Final = 32
"""Numbers of a head beyond which torch's blocked products win (measured: docs/decisions/0006)."""

HEAD_MULTIPLE: Final = 4
"""Numbers of a head come in so many at once."""


def fits(policy: PolicyDescription) -> bool:
    """Return whether a policy's heads are of a size that the kernel takes, and gains by."""
    if policy.positions in {"alibi", "relative"}:
        return False  # the kernel adds nothing to scores
    size, rest = divmod(policy.width, policy.heads)
    return rest == 0 and size <= LARGEST_HEAD and size % HEAD_MULTIPLE == 0


def installed() -> bool:
    """Return whether numba is."""
    return importlib.util.find_spec("numba") is not None
