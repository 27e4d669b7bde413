"""Removal of files and objects that writers of a store began and never committed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attnscope_storage.layout.bucket import BucketPath, StorePath
from attnscope_storage.layout.bucket_store import BucketStore
from attnscope_storage.layout.keys import Committed
from attnscope_storage.layout.root import ROOT_KEY
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.layout.store import PARTIAL_SUFFIX
from attnscope_storage.layout.takeovers import attempt_of, stored_at
from attnscope_storage.writing.fence import UNFINISHED


def remove_leftovers(place: StorePath, attempt: int, over: Callable[[], bool]) -> int:
    """Remove what attempts up to a number wrote into a store and did not commit; return how many files or objects.

    None of these attempts may write any more; a later one may begin at any moment.

    Parameters
    ----------
    over
        Returns False where a later attempt may have begun. A bucket's documents do not tell their attempt, so it is
        asked after the objects are listed.

    Raises
    ------
    ChunkDamagedError, SchemaVersionError
        The root document cannot be read, so nothing tells which objects it names.
    StorageUnwritableError
        The bucket does not answer.
    """
    return _objects(place, attempt, over) if isinstance(place, BucketPath) else _files(place, attempt)


def _files(folder: Path, attempt: int) -> int:
    removed = 0
    for path in folder.rglob(f"*{PARTIAL_SUFFIX}"):
        found = UNFINISHED.search(path.name)
        if found is not None and int(found["attempt"] or 0) <= attempt:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _objects(place: BucketPath, attempt: int, over: Callable[[], bool]) -> int:
    listed = [key for key, _ in place.objects() if attempt_of(key) <= attempt]
    if not over():
        return 0
    found = BucketStore(place).read(ROOT_KEY)
    if found is None and ROOT_KEY in listed:  # it was deleted meanwhile, or the bucket contradicts itself
        return 0
    named = set() if found is None else _named(Root.parse(found[0]))
    left = [key for key in listed if key not in named]
    place.remove_objects(left)
    return len(left)


def _named(root: Root) -> set[str]:
    """Return the keys of the objects that a root document means."""
    chunks = ((key, root.locate(key)) for key in root.chunk_keys())
    stored = (stored_at(key, chunk, root.attributes) for key, chunk in chunks if isinstance(chunk, Committed))
    return {*root.metadata_keys(), *stored}
