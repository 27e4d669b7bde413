"""Stores that a job fills beside its own, where their chunks arrive over HTTP: the interface that such a kind has.

The service makes their documents itself, so it must know which of them is filled next, and by which specification.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic
from uuid import UUID

import numpy as np
from jaxtyping import Shaped

from attnscope_env.presets.listing import Listings
from attnscope_server.kinds import ResolvedT, SpecT
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CheckpointInfo, ResolvedJob, Specification
from attnscope_storage.wire.specifications.cards import CardEarlier


@dataclass(frozen=True)
class Part:
    """A store that a job owns."""

    name: str
    """Its name within the job."""
    spec: Specification
    resolved: ResolvedJob


@dataclass(frozen=True)
class Subject(Generic[SpecT, ResolvedT]):
    """A job as the service knows it, whatever its worker says."""

    job: UUID
    """Id under which its store is kept."""
    spec: SpecT
    resolved: ResolvedT
    checkpoint: CheckpointInfo
    listings: Listings


class Owning(ABC, Generic[SpecT, ResolvedT]):
    """The owned stores of one kind of job."""

    @abstractmethod
    def due(
        self, subject: Subject[SpecT, ResolvedT], own: CaptureReader, store: Callable[[UUID], CaptureReader]
    ) -> Part | None:
        """Return the owned store that is whole before the next commit of the job's own; None where it needs none.

        Parameters
        ----------
        own
            The job's own store, as far as it is committed.
        store
            Opens another store that the job owns or reads, by its id.

        Raises
        ------
        ChunkRefusedError
            What is committed asks for more than the job may store.
        """

    @abstractmethod
    def earlier(self, owner: str, resolved: ResolvedT, others: Iterable[StorePath]) -> tuple[CardEarlier, ...]:
        """Return in short those of the owner's stores of this kind that the job comes after.

        Parameters
        ----------
        others
            The owner's other stores of this kind.
        """

    @abstractmethod
    def check(self, array: str, values: Shaped[np.ndarray, ...]) -> None:
        """Look at a chunk of the job's own store before it is taken.

        Raises
        ------
        ChunkRefusedError
            The service itself reads this array, and the chunk is not what stands there.
        """
