"""The fence of a store in a bucket: the root document is replaced only if it is still the one that was read.

No lock holds between machines, so nothing is locked. Chunks have keys of their attempt (`layout.takeovers`), so that a
writer which was taken over can change no object that a newer root document names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from attnscope_storage.errors import FencedError
from attnscope_storage.layout.bucket_store import BucketStore
from attnscope_storage.layout.root import ROOT_KEY
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.layout.takeovers import TAKEOVERS, ending_of, with_takeover
from attnscope_storage.writing.fence import Fence, Tenure


class BucketFence(Fence):
    """The fence of one writer of a store in a bucket.

    Parameters
    ----------
    store
        The place that it writes into.
    tenure
        None takes over from whoever wrote before, as the next attempt.
    """

    def __init__(self, store: BucketStore, tenure: Tenure | None) -> None:
        self._tenure = tenure
        self._bucket = store
        self._etag: str | None = None
        self._found: bytes | None = None

    @contextmanager
    def entered(self) -> Iterator[bytes | None]:
        """Yield the root document that is stored; from here on, only it may be replaced.

        Raises
        ------
        FencedError, LeaseLostError
            As the fence of a folder.
        """
        found = self._bucket.read(ROOT_KEY)
        self._found, self._etag = found or (None, None)
        newest = 0 if self._found is None else int(json.loads(self._found)["attributes"].get("attempt", 0))
        tenure = self._tenure or Tenure(newest + 1)
        if newest > tenure.attempt:
            raise FencedError(f"attempt {newest} has taken over from attempt {tenure.attempt}")
        self._refuse_lapsed(tenure)
        self._tenure = tenure
        yield self._found

    @contextmanager
    def held(self) -> Iterator[None]:
        """Look at the lease; the bucket itself refuses an older attempt's root document."""
        if self._tenure is not None:
            self._refuse_lapsed(self._tenure)
        yield

    def marks(self, attributes: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return root attributes with this writer's own, and from which entry on it writes each array."""
        marked = super().marks(attributes, step)
        lengths = {} if self._found is None else {n: a.shape[0] for n, a in Root.parse(self._found).arrays.items()}
        attempt = 1 if self._tenure is None else self._tenure.attempt
        known = with_takeover(marked.get(TAKEOVERS, []), attempt, lengths)
        self._bucket.ending = ending_of(attempt, len(known))
        return {**marked, TAKEOVERS: known}

    def publish(self, document: bytes, at_stage: Callable[[str], None]) -> None:
        """Replace the root document, if it is still the one that this writer read or published last.

        Raises
        ------
        FencedError
            It is not.
        """
        at_stage("root-staged")
        if self._tenure is not None:
            self._refuse_lapsed(self._tenure)  # chunks may have taken long
        self._etag = self._bucket.replace(ROOT_KEY, document, self._etag)
        at_stage("root-renamed")

    def sweep(self) -> None:
        """Do nothing: an older attempt's objects have keys that no newer root document names."""
