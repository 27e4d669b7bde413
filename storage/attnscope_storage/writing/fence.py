"""The fence of a store: an attempt publishes only while no newer attempt has taken the store over.

Every publication is one step under a lock that holds between processes: look that the root document is still the one
that this writer published last, and that its lease is alive; then give chunks, array documents and root their names. A
writer that was stopped, and wakes after another attempt took over, is refused before any of its bytes can be read. It
leaves nothing but files without a name, which it removes.

Knows bytes and attempts, not what a commit consists of.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from attnscope_storage.errors import FencedError, LeaseLostError
from attnscope_storage.layout.root import ROOT_KEY
from attnscope_storage.layout.store import PARTIAL_SUFFIX, DurableStore, as_buffer, read_bytes
from attnscope_storage.writing.lock import locked_briefly

UNFINISHED: Final = re.compile(rf"(?:\.(?P<attempt>[0-9]+))?{re.escape(PARTIAL_SUFFIX)}$")
"""End of the name of a file that is not whole, with the attempt that writes it."""


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Tenure:
    """The right of one attempt to write into a store."""

    attempt: int
    """Number of the job's try; a greater one takes over from a smaller one."""
    may_write: Callable[[], bool] = _always
    """Returns False once the attempt's lease cannot be counted on any more."""
    placed_on: Mapping[str, Any] | None = None
    """Device, number format, threads and torch of the attempt, for the root document."""

    @property
    def partial(self) -> str:
        """Ending of the names of this attempt's files until they are whole."""
        return f".{self.attempt}{PARTIAL_SUFFIX}"


class Fence:
    """The fence of one writer.

    Parameters
    ----------
    store
        The folder that it writes into.
    tenure
        None where the writer holds the capture's lock for as long as it writes: then nothing is checked here.
    """

    def __init__(self, store: DurableStore, tenure: Tenure | None) -> None:
        self._store, self._tenure = store, tenure
        self._published: bytes | None = None

    @property
    def claims(self) -> bool:
        """True where taking the store over is itself published."""
        return self._tenure is not None

    def stored(self) -> bytes | None:
        """Return the root document as it is stored; None where there is none."""
        # A writable store would make its folder just to look into it.
        return read_bytes(self._store.with_read_only(read_only=True), ROOT_KEY)

    @contextmanager
    def entered(self) -> Iterator[bytes | None]:
        """Hold other writers off while the store is made or taken over; yield the root document that is stored.

        Raises
        ------
        FencedError
            A newer attempt has the store.
        LeaseLostError
            The lease of this attempt is over.
        CaptureLockedError
            Another writer holds the lock for long.
        """
        if self._tenure is None:
            yield self.stored()
            return
        with locked_briefly(self._store.root):
            stored = self.stored()
            if stored is not None:
                newest = int(json.loads(stored)["attributes"].get("attempt", 0))
                if newest > self._tenure.attempt:
                    raise FencedError(f"attempt {newest} has taken over from attempt {self._tenure.attempt}")
            self._refuse_lapsed(self._tenure)
            yield stored

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold other writers off while something is published.

        Raises
        ------
        FencedError, LeaseLostError, CaptureLockedError
            As `entered`; a store that was deleted counts as taken over.
        """
        if self._tenure is None:
            yield
            return
        if not (self._store.root / ROOT_KEY).exists():  # else a lock file would be made beside a store that is gone
            raise FencedError(f"the capture of attempt {self._tenure.attempt} was deleted")
        with locked_briefly(self._store.root):
            self._refuse_fenced(self._tenure)
            self._refuse_lapsed(self._tenure)
            yield

    def marks(self, attributes: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return root attributes with this writer's own: its attempt, and where steps from `step` on are computed."""
        marked = dict(attributes)
        if self._tenure is None:
            return marked
        marked |= {"attempt": self._tenure.attempt, "writer": uuid.uuid4().hex}
        if self._tenure.placed_on is not None:
            places = list(marked.get("placed_on", []))
            if not places or {**places[-1], "from_step": None} != {**self._tenure.placed_on, "from_step": None}:
                places.append({"from_step": step, **self._tenure.placed_on})
            marked["placed_on"] = places
        return marked

    def publish(self, document: bytes, at_stage: Callable[[str], None]) -> None:
        """Replace the root document in one rename; what it names reaches the disk before it."""
        self._store.settle()
        staged = self._store.stage(ROOT_KEY, as_buffer(document))
        try:
            at_stage("root-staged")
            staged.publish()
        except BaseException:
            staged.discard()
            raise
        self._published = document
        at_stage("root-renamed")
        self._store.settle()

    def sweep(self) -> None:
        """Remove the files that older attempts began and cannot give their names any more."""
        if self._tenure is None or self._tenure.attempt == 1:
            return
        for path in self._store.root.rglob(f"*{PARTIAL_SUFFIX}"):
            found = UNFINISHED.search(path.name)
            if found is not None and int(found["attempt"] or 0) < self._tenure.attempt:
                path.unlink(missing_ok=True)

    def _refuse_fenced(self, tenure: Tenure) -> None:
        if self.stored() != self._published:
            raise FencedError(f"another attempt has taken the capture over from attempt {tenure.attempt}")

    def _refuse_lapsed(self, tenure: Tenure) -> None:
        if not tenure.may_write():
            raise LeaseLostError(f"attempt {tenure.attempt} could not renew its lease in time; it writes no more")
