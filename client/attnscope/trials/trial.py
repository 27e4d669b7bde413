"""A trial as it is stored, remote or downloaded, finished or running: arrays that fetch only what is indexed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Shaped
from pydantic import BaseModel, ValidationError

from attnscope.download import download
from attnscope.errors import NotCapturedError
from attnscope.lazy import LazyArray
from attnscope.plain import plain, plain_values
from attnscope.remote import Slicer
from attnscope.trials.results import TrialResults
from attnscope_storage.errors import ChunkDamagedError, NotCommittedError, StoreKindError
from attnscope_storage.reader import CaptureReader
from attnscope_storage.wire import Condition, PolicyDescription, ResolvedTrial, TrialSpec

ModelT = TypeVar("ModelT", bound=BaseModel)


class Trial:
    """What one job tried. Use `JobHandle.trial` or `attnscope.open_trial`.

    Raises
    ------
    StoreKindError
        What is stored there is a capture.
    """

    def __init__(self, reader: CaptureReader, slicer: Slicer | None = None) -> None:
        if reader.kind != "trial":
            raise StoreKindError("what is stored there is a capture, not a trial; open it with attnscope.open")
        self._reader = reader
        self._slicer = slicer

    def __repr__(self) -> str:
        state = "complete" if self.complete else "running"
        committed, total = self.conditions_committed, len(self.resolved.conditions)
        return f"<trial {self.job[:8]} of {self.resolved.checkpoint_name}: {committed} of {total} conditions, {state}>"

    def __getitem__(self, name: str) -> LazyArray:
        """Return an array by its path, e.g. ``trial/return``.

        Raises
        ------
        NotCapturedError
            The trial has no such array.
        """
        if name not in self._reader.names():
            raise NotCapturedError(f"this trial has no {name}; it has {', '.join(self._reader.names())}")
        return LazyArray(self._reader.array(name), self._slicer)

    def names(self) -> tuple[str, ...]:
        """Return the paths of all arrays."""
        return self._reader.names()

    def refresh(self) -> Trial:
        """Take note of what was committed since."""
        self._reader.refresh()
        return self

    @property
    def job(self) -> str:
        """Id of the job that made it."""
        return plain(str(self._reader.attributes["job"]))

    @property
    def spec(self) -> TrialSpec:
        """What was asked for."""
        return _validated(TrialSpec, self._reader.attributes["spec"])

    @property
    def resolved(self) -> ResolvedTrial:
        """What that meant on the service: tasks, steps, and every condition."""
        return _validated(ResolvedTrial, self._reader.attributes["resolved"])

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The condition axis, in full; the uncompressed rollout is entry 0."""
        return self.resolved.conditions

    @property
    def policy(self) -> PolicyDescription:
        """The policy's shape."""
        return _validated(PolicyDescription, self._reader.attributes["policy"])

    @property
    def provenance(self) -> dict[str, Any]:
        """Where it comes from: checkpoint, mask and who stated it, environment, seeds, versions, device."""
        return dict(plain_values(self._reader.attributes["provenance"]))

    @property
    def complete(self) -> bool:
        """Whether nothing more will come."""
        return self._reader.complete

    @property
    def conditions_committed(self) -> int:
        """Conditions that can be read."""
        return self._reader.steps_committed

    def results(self) -> TrialResults:
        """Return what is committed by now, with what it means; each array is read when it is first asked for.

        Raises
        ------
        NotCommittedError
            Not even the uncompressed condition is there yet.
        """
        if not self.conditions_committed:
            raise NotCommittedError(f"trial {self.job[:8]} has committed no condition yet")
        return TrialResults(
            job=self.job,
            spec=self.spec,
            resolved=self.resolved,
            policy=self.policy,
            provenance=self.provenance,
            arrays=ReadOnce({name: self[name] for name in self.names()}),
            complete=self.complete,
        )

    def download(self, path: str | Path) -> Path:
        """Write every committed chunk into a new folder, for `attnscope.open_trial`; it appears whole or not at all.

        Raises
        ------
        DownloadRefusedError
            There is something at `path` already.
        """
        return download(self._reader, path)


class ReadOnce(Mapping[str, Shaped[np.ndarray, "..."]]):
    """Arrays by name, each read whole when it is first asked for."""

    def __init__(self, arrays: Mapping[str, LazyArray]) -> None:
        self._arrays = arrays
        self._read: dict[str, Shaped[np.ndarray, ...]] = {}

    def __getitem__(self, name: str) -> Shaped[np.ndarray, ...]:
        if name not in self._read:
            self._read[name] = self._arrays[name][:]
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def _validated(kind: type[ModelT], value: object) -> ModelT:
    """Return what a store says of itself; a store of elsewhere may say anything."""
    try:
        return kind.model_validate(plain_values(value))
    except ValidationError as error:
        raise ChunkDamagedError(f"the trial's root document holds no {kind.__name__}: {error}") from error
