"""Everything that a capture may lack, and the sentence that says so: the one place where an absence becomes words.

A capture of this package lacks what its job was told not to store; an imported one lacks what its file does not say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from attnscope.connecting.plain import plain

WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "attention/rows": "the decision rows",
        "attention/maps": "whole attention maps",
        "returns": "the returns of its episodes",
        "rollout/episode": "the steps at which episodes begin",
        "rollout/reward": "the reward of each step",
        "rollout/action": "the action of each step",
        "rollout/observation": "the observation of each step",
        "policy/logits": "the logits of each step",
        "env/task": "the task of each environment",
        "policy.causal": "the mask of the policy",
        "policy.width": "the width of the policy",
        "policy.positions": "the position encoding of the policy",
        "policy.actions": "the number of actions",
    }
)
"""Things that a capture may lack: arrays, returns and fields of the policy, in the words of sentences."""


def why_absent(name: str, kind: str, held: Collection[str], provenance: Mapping[str, Any]) -> str:
    """Return why there is no array, or no field, of this name.

    Parameters
    ----------
    name
        An array, or a key of `WORDS`.
    kind
        ``capture`` or ``trial``.
    held
        The arrays that there are.
    provenance
        Of the store.
    """
    if origin := imported_from(provenance):
        return f"the imported file {origin} does not say {WORDS.get(name, name)}"
    if name in WORDS:
        return f"this {kind} does not hold {WORDS[name]} ({name}); it has {', '.join(sorted(held))}"
    return f"this {kind} has no {name}; it has {', '.join(sorted(held))}"


def imported_from(provenance: Mapping[str, Any]) -> str | None:
    """Return the file that a capture was imported from; None for one that a service made."""
    origin = provenance.get("imported_from")
    return None if origin is None else plain(str(origin))
