"""The store of a job, remote or downloaded, finished or running: the base of every kind of store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Self, TypeVar

import numpy as np
from jaxtyping import Shaped
from pydantic import BaseModel, ValidationError

from attnscope.absent import why_absent
from attnscope.connecting.plain import plain_values
from attnscope.connecting.transport import Transport
from attnscope.errors import NotCapturedError
from attnscope.fetching.download import download
from attnscope.fetching.http_store import HttpStore
from attnscope.fetching.lazy import LazyArray
from attnscope.fetching.remote import Slicer
from attnscope.kinds.view import view_of
from attnscope.provenance import NOTHING_SAID, RUNNING, UNKNOWN, Recorded
from attnscope_storage.errors import CaptureNotFoundError, ChunkDamagedError, StoreKindError
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import RecordedPolicy
from attnscope_storage.wire.wording import wrong_fields

ModelT = TypeVar("ModelT", bound=BaseModel)

LONGEST_ID: Final = 64
"""Characters of a job's id, at most."""

_NO_PART_OF_A_NAME: Final = re.compile(r"[^0-9A-Za-z_-]")


def reader_of(transport: Transport, job: str, ask_state: Callable[[], str] | None) -> CaptureReader:
    """Return a reader of what a job has committed.

    Parameters
    ----------
    transport
        An open connection.
    job
        Id of the job.
    ask_state
        Returns the state that the service says of the job now; None where nobody can be asked.

    Raises
    ------
    CaptureNotFoundError
        It has committed nothing: not yet, or never.
    """
    try:
        return CaptureReader.open(HttpStore(transport, job))
    except CaptureNotFoundError as error:
        state = None if ask_state is None else ask_state()
        ended = "has committed nothing yet" if state in RUNNING else "has committed nothing"
        raise CaptureNotFoundError(f"job {job} {ended}" + (f" (it is {state})" if state else "")) from error


class Stored:
    """Arrays that fetch only what is indexed, and what their store says of itself.

    Raises
    ------
    StoreKindError
        What is stored there is of the other kind.
    """

    kind: ClassVar[str]
    """Kind of job whose stores it reads."""

    def __init__(
        self, reader: CaptureReader, slicer: Slicer | None = None, *, ask_state: Callable[[], str] | None = None
    ) -> None:
        if reader.kind != self.kind:
            opened_by = view_of(reader.kind).opened_by
            raise StoreKindError(
                f"what is stored there is a {reader.kind}, not a {self.kind}; open it with {opened_by}"
            )
        self._reader = reader
        self._slicer = slicer
        self._ask_state = ask_state
        self._state: str | None = None
        self._arrays: dict[str, LazyArray] = {}

    @classmethod
    def remote(cls, transport: Transport, job: str, *, ask_state: Callable[[], str] | None = None) -> Self:
        """Return what is committed of a job by now.

        Parameters
        ----------
        transport
            An open connection.
        job
            Id of the job.
        ask_state
            Returns the state that the service says of the job now; None where nobody can be asked.
        """
        return cls(reader_of(transport, job, ask_state), Slicer(transport, job), ask_state=ask_state)

    def __getitem__(self, name: str) -> LazyArray:
        """Return an array by its path, e.g. ``env/task``.

        Raises
        ------
        NotCapturedError
            There is no such array.
        """
        if name not in self._reader.names():
            raise NotCapturedError(why_absent(name, self.kind, self.names(), self.provenance))
        if name not in self._arrays:
            self._arrays[name] = LazyArray(self._reader.array(name), self._slicer)
        return self._arrays[name]

    def names(self) -> tuple[str, ...]:
        """Return the paths of all arrays."""
        return self._reader.names()

    def refresh(self) -> Self:
        """Take note of what was committed since.

        Returns
        -------
        Stored
            This object; its arrays are as long as what is committed now.
        """
        self._state = None
        if self._reader.refresh():
            self._arrays = {}  # a new commit made them longer
        return self

    @property
    def job(self) -> str:
        """Id of the job that made it; a store is not trusted, and this names folders and stands in commands."""
        return _NO_PART_OF_A_NAME.sub("_", str(self._reader.attributes.get("job", UNKNOWN)))[:LONGEST_ID]

    @property
    def provenance(self) -> dict[str, Any]:
        """The origin of the store: checkpoint, mask and who stated it, environment, seeds, versions, device.

        What sentences are made of is always there; what the store does not say of it is ``unknown``.
        """
        said = self._attribute("provenance", Recorded)
        known = said.model_dump(exclude_unset=True)
        unsaid = [name for name in NOTHING_SAID if known.get(name) is None]
        return {**known, **{name: NOTHING_SAID[name] for name in unsaid}}

    @property
    def policy(self) -> RecordedPolicy:
        """The policy's shape; what an imported capture does not say is None."""
        return self._attribute("policy", RecordedPolicy)

    @property
    def complete(self) -> bool:
        """True where nothing more will come."""
        return self._reader.complete

    @property
    def on_disk(self) -> bool:
        """True where it was opened from this disk, so that no service stands behind it."""
        return self._slicer is None

    @property
    def state(self) -> str | None:
        """``complete``, else the state that the service says of the job; None where there is no service to ask."""
        if self.complete:
            return "complete"
        if self._state is None and self._ask_state is not None:
            self._state = self._ask_state()
        return self._state

    def none_of(self, unit: str) -> str:
        """Return the sentence that nothing of a kind is committed: not yet, or never where the job has ended.

        Parameters
        ----------
        unit
            What is missing, in the singular.
        """
        if self.state in RUNNING:
            return f"no {unit} is committed yet: wait until the job has come so far"
        ended = "" if self.state is None else f", and none will be: its job is {self.state}"
        return f"no {unit} is committed{ended}"

    def download(self, path: str | Path) -> Path:
        """Write every committed chunk into a new folder, which appears whole or not at all.

        Parameters
        ----------
        path
            Folder to write.

        Returns
        -------
        Path
            The new folder.

        Raises
        ------
        DownloadRefusedError
            There is something at `path` already.
        """
        return download(self._reader, path)

    def _attribute(self, attribute: str, model: type[ModelT]) -> ModelT:
        """Return an attribute of the store as a model; a store of another program may hold any value there, or none."""
        said = f"the {self.kind}'s root document holds no {model.__name__}"
        if attribute not in self._reader.attributes:
            raise ChunkDamagedError(f"{said}: {attribute} is missing")
        try:
            return model.model_validate(plain_values(self._reader.attributes[attribute]))
        except ValidationError as error:
            wrong = "; ".join(wrong_fields(error.errors(include_url=False)))
            raise ChunkDamagedError(f"{said}: {wrong}") from error


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
