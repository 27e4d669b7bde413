"""The origin of stored results in words, from plain values: checkpoint, mask, tasks, seeds, state of the job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

UNKNOWN: Final = "unknown"

SEEDS: Final = 6
"""Seeds that are named, at most."""

RUNNING: Final = frozenset({"queued", "running", "cancelling", "interrupted"})
"""States of a job that may commit more."""

NOTHING_SAID: Final[Mapping[str, Any]] = MappingProxyType(
    dict.fromkeys(("checkpoint", "checkpoint_name", "family", "environment", "causal_stated_by"), UNKNOWN)
    | {"causal": None}
)
"""The parts of a provenance that sentences are made of, where a store says nothing of them."""

HELD_OUT: Final[Mapping[bool | None, str]] = MappingProxyType(
    {
        None: "train tasks unknown",
        True: "held-out tasks",
        False: "tasks of its training or validation among them",
    }
)
"""The words for a capture's tasks, by the truth of "all of them were held out"."""


class Recorded(BaseModel):
    """A provenance as a store says it: what sentences are made of has its type, anything else stays as it is."""

    model_config = ConfigDict(extra="allow", frozen=True)

    checkpoint: str | None = None
    checkpoint_name: str | None = None
    family: str | None = None
    environment: str | None = None
    causal: bool | None = None
    causal_stated_by: str | None = None
    device: str | None = None
    seeds: list[int | str] = []
    stated_by_user: dict[str, Any] = {}


KEPT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "memory": "a memory of its layers' inputs",
        "rolling": "keys and values kept as they were computed",
        "compressed": "older transitions packed into latents by a network of its own",
    }
)
"""By the window of a policy: what it keeps of its past besides tokens."""


def policy_words(provenance: Mapping[str, Any]) -> str:
    """Return e.g. ``causal (mask stated by family), heads 2 and preset darkroom-dpt stated by user``.

    Parameters
    ----------
    provenance
        A capture's; those of older captures know of no statement besides the mask.
    """
    if provenance["causal"] is None:
        words = "mask unknown"
    else:
        mask = "causal" if provenance["causal"] else "non-causal"
        words = f"{mask} (mask stated by {provenance['causal_stated_by']})"
    words = ", ".join([words, *kept_words(provenance)])
    stated = provenance.get("stated_by_user", {})
    others = [f"{name.replace('_', ' ')} {answer}" for name, answer in stated.items() if name != "causal"]
    return f"{words}, {' and '.join(others)} stated by user" if others else words


def kept_words(provenance: Mapping[str, Any]) -> list[str]:
    """Return what a policy keeps of its past besides tokens, and when it forgets; nothing for a plain sliding window.

    Parameters
    ----------
    provenance
        A capture's.
    """
    kept = KEPT.get(str(provenance.get("window")))
    if (compressor := provenance.get("compressor")) is not None:
        kept = f"older transitions packed into latents by the installed compressor {compressor}"
    emptied = "context emptied at each episode's end" if provenance.get("cleared") == "episode" else None
    return [words for words in (kept, emptied) if words is not None]


def state_words(state: str | None, committed: int, unit: str = "step") -> str:
    """Return the state of the job behind stored results, and where it ended if nothing more will come.

    Parameters
    ----------
    state
        ``complete``, or the state that the service says of the job; None where no service was asked.
    committed
        Steps (or other units) that can be read.
    """
    if state in {"complete", "succeeded"}:
        return "complete"
    if state is None:
        return "unfinished (the state of its job is not known offline)"
    return "still running" if state in RUNNING else f"{state} at {unit} {committed}"


@dataclass(frozen=True)
class Origin:
    """The origin of a capture; texts that a foreign capture does not know say so."""

    provenance: Mapping[str, Any]
    checkpoint: str
    held_out: bool | None
    causal: bool | None
    job: str
    committed: int
    steps: int
    state: str | None
    """``complete``, or the state of the job where a service said it."""

    @property
    def mask(self) -> str:
        """The mask of the policy with the source of that statement, and the other facts that only its user states."""
        return policy_words({"causal": self.causal, "causal_stated_by": UNKNOWN} | dict(self.provenance))

    @property
    def source(self) -> str:
        """Checkpoint, mask, environment, tasks and seeds in one line."""
        known = self.provenance
        seeds = list(known.get("seeds", [UNKNOWN]))
        more = ", …" if len(seeds) > SEEDS else ""
        name = f"{self.checkpoint} ({str(known.get('checkpoint', UNKNOWN))[:12]})"
        tasks = f"{known.get('environment', UNKNOWN)}, {HELD_OUT[self.held_out]}"
        return f"{name}, {self.mask}; {tasks}; seeds {', '.join(map(str, seeds[:SEEDS]))}{more}"

    @property
    def condition(self) -> str:
        """The state in words."""
        return state_words(self.state, self.committed)

    @property
    def progress(self) -> str:
        """Job, steps that can be read, and the state where it is not complete."""
        whole = "" if self.state in {"complete", "succeeded"} else f", {self.condition}"
        return f"job {self.job}; {self.committed} of {self.steps} steps{whole}"
