"""The order that a runner gets for its job, and the functions that it calls while the job runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypedDict

from attnscope_env.presets.listing import LISTED, Listings
from attnscope_server.kinds import ResolvedT, SpecT
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.wire import CheckpointInfo, Phase
from attnscope_storage.wire.parts import PART_OF
from attnscope_storage.wire.specifications.cards import CardEarlier
from attnscope_storage.writing.fence import Tenure
from attnscope_storage.writing.writer import Commit


@dataclass(frozen=True)
class Order(Generic[SpecT, ResolvedT]):
    """The description of a job that its runner gets."""

    job: str
    owner: str
    spec: SpecT
    resolved: ResolvedT
    path: StorePath
    """Place of the job's store."""
    durable: bool = True
    listings: Listings = LISTED
    """Environments that this service lists."""
    fused: bool = True
    """Use the compiled attention where it fits."""
    part_of: tuple[str, str] | None = None
    """The store that owns the job's store, and its name there; None where the job stands for itself."""

    load: Callable[[str], tuple[Any, CheckpointInfo]] | None = None
    """Returns the policy and the entry of another checkpoint that the job needs, by its id; None where none is."""
    tenure: Tenure | None = None
    """The attempt's right to write; None where one writer locks the store for as long as it writes."""
    earlier: tuple[CardEarlier, ...] | None = None
    """Decisions before this one, where the worker does not reach their stores; None: read from the stores beside."""

    @property
    def belonging(self) -> dict[str, object]:
        """Root attribute that says which store owns this one; none where no store does."""
        return {} if self.part_of is None else {PART_OF: {"store": self.part_of[0], "name": self.part_of[1]}}


class Callbacks(TypedDict):
    """The functions that a runner calls while its job runs."""

    stopped: Callable[[], bool]
    """Says when to raise `RolloutStoppedError`."""
    on_progress: Callable[[Phase, int], None]
    """Takes the phase, and the steps so far."""
    on_commit: Callable[[Commit], None]
    """Takes every commit."""
