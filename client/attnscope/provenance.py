"""What is said of a policy in captions and summaries: its mask, and all that its user alone stands for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

HELD_OUT: Final[Mapping[bool | None, str]] = MappingProxyType(
    {
        None: "train tasks unknown",
        True: "held-out tasks",
        False: "tasks of its training or validation among them",
    }
)
"""What is said of a capture's tasks, by whether all of them were held out."""


def policy_words(provenance: Mapping[str, Any]) -> str:
    """Return e.g. ``causal (mask stated by family), heads 2 and preset darkroom-dpt stated by user``.

    Parameters
    ----------
    provenance
        A capture's; those of older captures know of no statement besides the mask.
    """
    mask = "causal" if provenance["causal"] else "non-causal"
    words = f"{mask} (mask stated by {provenance['causal_stated_by']})"
    stated = provenance.get("stated_by_user", {})
    others = [f"{name.replace('_', ' ')} {answer}" for name, answer in stated.items() if name != "causal"]
    return f"{words}, {' and '.join(others)} stated by user" if others else words
