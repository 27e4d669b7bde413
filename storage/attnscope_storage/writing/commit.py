"""The commit protocol: what is written in which order, so that a kill at any moment leaves a whole capture.

1. the chunks of one block of steps and each grown array's own ``zarr.json``, whole but without their names;
2. their names: of chunks, keys that no committed shape covers yet, or the same again, with their committed entries as
   they were, where the last chunk of an array has room for more;
3. the root ``zarr.json``, with all of them inline, by one atomic rename.

Steps 2 and 3 are behind the `fence`: they happen together, or, after another attempt has taken over, not at all.

Only the rename commits, and it commits every array at once. A crash before it leaves chunks that nobody reads and
array documents that may be ahead of the root; resuming overwrites the first and puts the second back. A chunk may hold
more entries than its root commits: those that are committed read the same, so a live reader never sees a hole. Creation
goes the same way, so a capture whose creation died is no capture. Knows nothing of threads and queues.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from attnscope_storage.errors import CaptureExistsError, CaptureNotFoundError
from attnscope_storage.layout.bucket_store import BucketStore
from attnscope_storage.layout.chunks import chunk_key
from attnscope_storage.layout.root import (
    WRITER_ATTRIBUTES,
    document_bytes,
    root_document,
)
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.layout.store import DurableStore
from attnscope_storage.layout.store_schema import ArraySpec, Entries, StoreSchema
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.shades import as_u8
from attnscope_storage.writing.blocks import StepBlock
from attnscope_storage.writing.bucket_fence import BucketFence
from attnscope_storage.writing.fence import Fence, Tenure
from attnscope_storage.writing.fitting import Static, checked_static, refuse_other_schema
from attnscope_storage.writing.staging import AbandonedError, AtStage, Staging, put_back, write_documents
from attnscope_storage.writing.tails import Chunk, Tail, last_chunk, parts_of

MAPS: Final = "attention/maps"
"""The array whose entries come one by one, each as a chunk."""


class Committer:
    """Writes one capture's blocks into a store, one commit at a time.

    Use `create` or `resume`.
    """

    def __init__(
        self,
        store: DurableStore | BucketStore,
        schema: StoreSchema,
        attributes: dict[str, Any],
        at_stage: AtStage | None,
        tenure: Tenure | None = None,
    ) -> None:
        self.schema = schema
        self.steps = 0
        """Environment steps committed; of a trial, conditions."""
        self.bytes_written = 0
        """Encoded bytes of all committed chunks."""
        self._store = store
        self._fence = BucketFence(store, tenure) if isinstance(store, BucketStore) else Fence(store, tenure)
        self._attributes = attributes
        self._at_stage = at_stage or (lambda _: None)
        self._deriver = schema.deriver()
        buffered = [spec for spec in schema.arrays.values() if spec.growth != "static" and spec.name != MAPS]
        self._tails = {spec.name: Tail(spec) for spec in buffered}

    @classmethod
    def create(
        cls,
        store: DurableStore | BucketStore,
        schema: StoreSchema,
        attributes: Mapping[str, Any],
        static: Static,
        at_stage: AtStage | None = None,
        tenure: Tenure | None = None,
    ) -> Committer:
        """Write an empty capture: its static arrays, every document, and the root last."""
        taken = WRITER_ATTRIBUTES & attributes.keys()
        if taken:
            raise ValueError(f"these attributes are the writer's own: {sorted(taken)}")
        own = {"capture_id": uuid.uuid4().hex, "complete": False}
        committer = cls(store, schema, {**attributes, **own}, at_stage, tenure)
        committer._attributes = committer._fence.marks(committer._attributes, 0)
        # Before any file appears: attributes that are no JSON, or arrays that do not fit the schema.
        document_bytes(root_document(schema, 0, committer._attributes))
        kept = checked_static(schema, static)
        with committer._fence.entered() as stored:
            if stored is not None:
                raise CaptureExistsError(f"a capture exists at {store.root}")
            with Staging.begun(store, schema) as staged:
                for spec, values in kept:
                    committer.bytes_written += staged.add_chunks(committer._chunks(spec, values, 0))
                staged.add_groups()
                staged.add_documents(schema.arrays.values(), 0)
                committer._publish(0, staged)
        return committer

    @classmethod
    def resume(
        cls,
        store: DurableStore | BucketStore,
        schema: StoreSchema,
        at_stage: AtStage | None = None,
        tenure: Tenure | None = None,
    ) -> Committer:
        """Continue after the last committed step, and reset each array's document to its shape in the root document.

        With a tenure, the root document names this attempt from here on, and refuses every earlier one.
        """
        committer = cls(store, schema, {}, at_stage, tenure)
        with committer._fence.entered() as stored:
            if stored is None:
                raise CaptureNotFoundError(f"there is no capture at {store.root}")
            root = Root.parse(stored)
            refuse_other_schema(root, schema)
            committer.steps = root.steps_committed
            committer._attributes = committer._fence.marks(root.attributes, root.steps_committed)
            committer.bytes_written = int(root.attributes.get("bytes_written", 0))
            put_back(store, root)
            if committer._fence.claims:
                document = document_bytes(root_document(schema, committer.steps, committer._attributes))
                committer._fence.publish(document, lambda _: None)
        committer._fence.sweep()
        committer._take_up(CaptureReader(store.with_read_only(read_only=True), root))
        return committer

    def _take_up(self, reader: CaptureReader) -> None:
        """Read what the next commit adds to: chunks with room left, and what derived arrays are computed from."""

        def read(name: str, first: int, last: int) -> Entries:
            values: Entries = reader.array(name)[first:last]
            return as_u8(values) if self.schema.arrays[name].dtype == "uint8" else values

        for name in self._tails:
            spec = self.schema.arrays[name]
            self._tails[name] = Tail(spec, last_chunk(reader, spec, self._length(spec, self.steps)))
        if self._deriver is not None and self.steps:
            self._deriver.resume(self.steps, read)

    @property
    def complete(self) -> bool:
        """True where the capture was declared finished."""
        return bool(self._attributes["complete"])

    def commit(self, block: StepBlock, abandoned: Callable[[], bool] = lambda: False) -> None:
        """Store a block and commit it.

        Raises
        ------
        AbandonedError
            `abandoned()` became true on the way; the capture is as it was.
        """
        before, after = self.steps, self.steps + block.steps
        grown = [spec for spec in self.schema.arrays.values() if self._length(spec, after) > self._length(spec, before)]
        with Staging.begun(self._store, self.schema) as staged:
            added = staged.add_chunks(self._grown(block, grown, before, after), abandoned)
            self.bytes_written += added  # not in one statement: making the chunks takes from the sum what they replace
            staged.add_documents(grown, after)
            self._at_stage("chunks-staged")
            if abandoned():
                raise AbandonedError
            with self._fence.held():
                self._publish(after, staged, abandoned)
        self.steps = after

    def declare_complete(self) -> None:
        """Say in the root that nothing more will come."""
        if self.steps != self.schema.total and not self.schema.may_end_early:
            raise ValueError(f"{self.steps} of {self.schema.total} steps are committed: not complete")
        if self._store.documents_at_end:
            write_documents(self._store, self.schema, self.steps)
        self._attributes["complete"] = True
        with self._fence.held():
            self._publish(self.steps, Staging(self._store, self.schema))

    def _length(self, spec: ArraySpec, steps: int) -> int:
        return self.schema.length(spec, steps)

    def _grown(self, block: StepBlock, grown: list[ArraySpec], before: int, after: int) -> Iterator[Chunk]:
        """Yield the chunks of a commit; derived arrays last, so that they are computed while others are written."""
        entries: dict[str, Entries] = dict(block.arrays)
        if block.maps:
            entries["attention/map_step"] = np.array([step for step, _ in block.maps], np.int32)
        for spec in grown:
            if spec.name != MAPS and spec.growth != "column":
                yield from self._append(spec, entries[spec.name], self._length(spec, before), self._length(spec, after))
        first = sum(1 for step in self.schema.map_steps if step < before)
        for sample, (_, values) in enumerate(block.maps, start=first):
            yield from self._chunks(self.schema.arrays[MAPS], values[None], sample)
        if self._deriver is not None:
            found = self._deriver.derive(block.arrays, before, block.steps)
            for spec in [spec for spec in grown if spec.growth == "column"]:
                yield from self._append(spec, found[spec.name], self._length(spec, before), self._length(spec, after))

    def _append(self, spec: ArraySpec, entries: Entries, before: int, after: int) -> Iterator[Chunk]:
        """Yield the chunks that hold an array's entries from `before` to `after`.

        A chunk that has room left is written again with every commit that adds to it. Its committed entries stay as
        they are, so a reader of an older root reads the same values in it.
        """
        tail, size = self._tails[spec.name], spec.chunks[0]
        if before % size:
            self.bytes_written -= tail.written
        tail.written = 0  # counted as the last chunk is written; the ones before it are full
        for number in range(before // size, -(-after // size)):
            first, end = max(before, number * size), min(after, (number + 1) * size)
            new = np.asarray(entries[first - before : end - before], spec.dtype)
            whole = new if len(new) == size else tail.joined(new, first % size)
            yield from self._chunks(spec, whole, number, tail if end == after else None)

    def _chunks(self, spec: ArraySpec, values: Entries, number: int, tail: Tail | None = None) -> Iterator[Chunk]:
        """Yield every chunk that values, at most one chunk long on the first axis, consist of."""
        for index, part in parts_of(spec, values):
            yield Chunk(chunk_key(spec.name, (number + index[0], *index[1:])), part, tail)

    def _publish(self, steps: int, staged: Staging, abandoned: Callable[[], bool] = lambda: False) -> None:
        """Give what is staged its names, then replace the root document; the fence is held."""
        staged.publish(self._at_stage, abandoned)
        self._attributes["bytes_written"] = self.bytes_written
        root = root_document(self.schema, steps, self._attributes)
        self._fence.publish(document_bytes(root), self._at_stage)
