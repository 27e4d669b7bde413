"""A place of a bucket as a Zarr store whose writes may be conditional, and the trial of a bucket's conditions."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from zarr.core.buffer import Buffer
from zarr.storage import ObjectStore

from attnscope_storage.errors import BucketUnusableError, FencedError, StorageUnwritableError
from attnscope_storage.layout.bucket import BucketPath, explained
from attnscope_storage.layout.store import at_once

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Sent:
    """A chunk that is whole in the bucket; only a root document makes it part of the store."""

    def publish(self) -> None:
        """Do nothing: the chunk has its key."""

    def discard(self) -> None:
        """Leave the chunk: no root document names it, and the same attempt may write it again."""


class BucketStore(ObjectStore[Any]):
    """A place of a bucket as a Zarr store, with the conditional writes that a commit needs.

    Parameters
    ----------
    root
        The store's place.
    read_only
        Refuse writes.

    Raises
    ------
    StorageUnwritableError
        From every write and read that the bucket does not answer, after it was tried for `RETRIED_FOR`.
    """

    documents_at_end = True
    """Array documents are written once the store is complete: the root document holds them all."""

    def __init__(self, root: BucketPath, *, read_only: bool = True) -> None:
        super().__init__(root.connection, read_only=read_only)
        self.root = root
        self.ending = ""
        """The ending of the keys of this writer's chunks, so that no other one writes the same object."""

    def __reduce__(self) -> tuple[Callable[..., BucketStore], tuple[BucketPath]]:
        """Pickle the place; a copy connects anew, and reads only."""
        return type(self), (self.root,)

    def with_read_only(self, read_only: bool = False) -> BucketStore:
        """Return a store at the same place that does or does not refuse writes."""
        return type(self)(self.root, read_only=read_only)

    def stage(self, key: str, value: Buffer) -> Sent:
        """Write a chunk under a key that only this writer writes."""
        self.set_sync(key + self.ending, value)
        return Sent()

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write an object, whatever was there."""
        import obstore  # noqa: PLC0415 - an extra

        self._check_writable()
        with explained(f"{self.root}/{key}"):
            obstore.put(self.store, key, value.to_bytes())

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Return an object and its ETag; None where there is none."""
        import obstore  # noqa: PLC0415 - an extra

        with explained(f"{self.root}/{key}"):
            try:
                found = obstore.get(self.store, key)
                return bytes(found.bytes()), _etag(found.meta["e_tag"])
            except FileNotFoundError:
                return None

    def replace(self, key: str, value: bytes, etag: str | None) -> str:
        """Write an object only if it still is the one of an ETag, or, without one, only if there is none.

        A request that was tried again may meet its own object; then it has happened.

        Returns
        -------
        str
            The ETag of the object that is written.

        Raises
        ------
        FencedError
            Another object is there.
        """
        import obstore  # noqa: PLC0415 - an extra
        from obstore.exceptions import AlreadyExistsError, PreconditionError  # noqa: PLC0415 - as above

        self._check_writable()
        mode: Any = "create" if etag is None else {"e_tag": etag}
        with explained(f"{self.root}/{key}"):
            try:
                return _etag(obstore.put(self.store, key, value, mode=mode)["e_tag"])
            except (AlreadyExistsError, PreconditionError, FileNotFoundError) as error:
                found = self.read(key)
                if found is not None and found[0] == value:
                    return found[1]
                raise FencedError(f"another writer has replaced {self.root}/{key}, or deleted it") from error

    def written(self, calls: Iterable[Callable[[], ResultT]]) -> list[ResultT]:
        """Return the results of calls that write keys, several at a time."""
        return at_once(calls)

    def settle(self) -> None:
        """Do nothing: an object that the bucket has acknowledged is kept."""


def probe(place: BucketPath) -> None:
    """Try whether a bucket honours conditions, as every commit needs.

    Raises
    ------
    BucketUnusableError
        It writes where it must refuse, cannot be written, or tells no ETags.
    """
    import obstore  # noqa: PLC0415 - an extra

    store, key = BucketStore(place, read_only=False), f"probe-{uuid.uuid4().hex}"
    try:
        first = store.replace(key, b"1", None)
        second = store.replace(key, b"2", first)
        for value, etag, what in (
            (b"3", None, "a second create of one object"),
            (b"4", first, "a write on an older object"),
        ):
            with contextlib.suppress(FencedError):
                store.replace(key, value, etag)
                raise BucketUnusableError(
                    f"{place}: this bucket accepts {what}; two attempts at a job could both commit. "
                    "Take one that honours If-None-Match and If-Match"
                )
        found = store.read(key)
        if found != (b"2", second):
            raise BucketUnusableError(f"{place}: this bucket does not read back what was written last")
    except StorageUnwritableError as error:
        raise BucketUnusableError(str(error)) from error
    finally:
        with contextlib.suppress(Exception):  # what remains is one byte; the reason that matters is the one above
            obstore.delete(store.store, key)


def may_create(place: BucketPath) -> bool:
    """Return whether the environment's keys may create an object at a place; it is removed at once.

    Raises
    ------
    StorageUnwritableError
        The bucket does not answer, or answers something other than yes or no.
    """
    import obstore  # noqa: PLC0415 - an extra
    from obstore.exceptions import (  # noqa: PLC0415 - as above
        AlreadyExistsError,
        PermissionDeniedError,
        UnauthenticatedError,
    )

    key = f"probe-{uuid.uuid4().hex}"
    with explained(f"{place}/{key}"):
        try:
            obstore.put(place.connection, key, b"1", mode="create")
        except AlreadyExistsError:
            pass  # a request that was tried again met its own object
        except (PermissionDeniedError, UnauthenticatedError):
            return False
    with contextlib.suppress(Exception):  # what remains is one byte
        obstore.delete(place.connection, key)
    return True


def _etag(found: str | None) -> str:
    if found is None:
        raise BucketUnusableError("the bucket tells no ETag, so that writes cannot be conditional")
    return found
