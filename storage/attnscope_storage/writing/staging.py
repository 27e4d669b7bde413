"""The files of one commit before they have their names: chunks, and the documents of arrays and groups.

In a bucket nothing is without its name: chunks have keys that only their writer uses, and documents are written at the
end of the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from attnscope_storage.layout.bucket_store import BucketStore, Sent
from attnscope_storage.layout.chunks import encode_chunk
from attnscope_storage.layout.root import ROOT_KEY, array_document, document_bytes, group_document, group_names
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.layout.store import DurableStore, Staged, as_buffer, read_bytes
from attnscope_storage.layout.store_schema import ArraySpec, StoreSchema
from attnscope_storage.writing.tails import Chunk

AtStage = Callable[[str], None]
"""Called as the protocol passes a point where a crash leaves another state behind."""


def _never() -> bool:
    return False


class AbandonedError(Exception):
    """The commit was given up before its root was renamed."""


class Staging:
    """The files of a commit that are written and have no names yet. Use `begun`.

    Parameters
    ----------
    store
        The folder or bucket that is written into.
    schema
        Its arrays.
    """

    def __init__(self, store: DurableStore | BucketStore, schema: StoreSchema) -> None:
        self._store, self._schema = store, schema
        self._chunks: list[Staged | Sent] = []
        self._documents: dict[str, Staged | Sent] = {}

    @classmethod
    @contextmanager
    def begun(cls, store: DurableStore | BucketStore, schema: StoreSchema) -> Iterator[Staging]:
        """Yield the files of a commit; those that were not published are removed after an error."""
        staging = cls(store, schema)
        try:
            yield staging
        except BaseException:
            for one in (*staging._chunks, *staging._documents.values()):
                one.discard()
            raise

    def add_chunks(self, chunks: Iterable[Chunk], abandoned: Callable[[], bool] = _never) -> int:
        """Write chunks, and return the bytes of their encoded form.

        Raises
        ------
        AbandonedError
            `abandoned()` became true on the way.
        """

        def write(chunk: Chunk) -> int:
            if abandoned():
                raise AbandonedError
            encoded = encode_chunk(chunk.values)
            self._chunks.append(self._store.stage(chunk.key, as_buffer(encoded)))
            return len(encoded)

        held: list[Chunk] = []

        def calls() -> Iterator[Callable[[], int]]:
            for chunk in chunks:
                held.append(chunk)
                yield partial(write, chunk)

        sizes = self._store.written(calls())
        for size, chunk in zip(sizes, held, strict=True):
            if chunk.tail is not None:
                chunk.tail.written += size
        return sum(sizes)

    def add_staged(self, chunk: Staged | Sent) -> None:
        """Add a chunk that is written already."""
        self._chunks.append(chunk)

    def add_groups(self) -> None:
        """Write the documents of the groups, which never change."""
        if not self._store.documents_at_end:
            self._chunks += [self._store.stage(key, as_buffer(value)) for key, value in _groups(self._schema)]

    def add_documents(self, specs: Iterable[ArraySpec], steps: int) -> None:
        """Write the documents of arrays as they are after a step."""

        def write(spec: ArraySpec) -> None:
            key, document = _document(self._schema, spec, steps)
            self._documents[spec.name] = self._store.stage(key, as_buffer(document))

        if not self._store.documents_at_end:
            self._store.written(partial(write, spec) for spec in specs)

    def publish(self, at_stage: AtStage, abandoned: Callable[[], bool] = _never) -> None:
        """Give everything its name.

        Raises
        ------
        AbandonedError
            `abandoned()` is true after the chunks.
        """
        for chunk in self._chunks:
            chunk.publish()
        at_stage("chunks-written")
        if abandoned():
            raise AbandonedError
        for name, document in self._documents.items():
            document.publish()
            at_stage(f"array-metadata-written:{name}")


def write_documents(store: DurableStore | BucketStore, schema: StoreSchema, steps: int) -> None:
    """Write the documents of all groups and arrays, for programs that open one array of a finished store."""
    documents = [*_groups(schema), *(_document(schema, spec, steps) for spec in schema.arrays.values())]
    store.written(partial(store.set_sync, key, as_buffer(value)) for key, value in documents)


def put_back(store: DurableStore | BucketStore, root: Root) -> None:
    """Write the array documents again that are ahead of the root document."""
    if store.documents_at_end:
        return
    stored = store.with_read_only(read_only=True)  # a writable store would make its folder just to look into it
    for key in root.metadata_keys():
        document = root.node_bytes(key)
        if key != ROOT_KEY and read_bytes(stored, key) != document:
            store.set_sync(key, as_buffer(document))
    store.settle()


def _groups(schema: StoreSchema) -> Iterator[tuple[str, bytes]]:
    for group in sorted(group_names(schema.arrays)):
        yield f"{group}/{ROOT_KEY}", document_bytes(group_document({}))


def _document(schema: StoreSchema, spec: ArraySpec, steps: int) -> tuple[str, bytes]:
    return f"{spec.name}/{ROOT_KEY}", document_bytes(array_document(spec, schema.length(spec, steps)))
