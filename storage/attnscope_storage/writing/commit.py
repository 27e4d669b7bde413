"""The commit protocol: what is written in which order, so that a kill at any moment leaves a whole capture.

1. the chunks of one block of steps, under keys that no committed shape covers yet;
2. each grown array's own ``zarr.json``;
3. the root ``zarr.json``, with all of them inline, by one atomic rename.

Only the rename commits, and it commits every array at once. A crash before it leaves chunks that nobody reads and
array documents that may be ahead of the root; resuming overwrites the first and puts the second back. Creation goes the
same way, so a capture whose creation died is no capture. Knows nothing of threads and queues.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from attnscope_storage.errors import CaptureExistsError, CaptureNotFoundError, SchemaMismatchError
from attnscope_storage.layout.chunks import chunk_key, encode_chunk, grid_of, indices
from attnscope_storage.layout.root import (
    ROOT_KEY,
    WRITER_ATTRIBUTES,
    array_document,
    document_bytes,
    group_document,
    group_names,
    root_document,
)
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.layout.store import DurableStore, as_buffer, read_bytes
from attnscope_storage.layout.store_schema import SCHEMA_VERSION, ArraySpec, StoreSchema
from attnscope_storage.writing.blocks import StepBlock, is_buffered

AtStage = Callable[[str], None]
"""Called as the protocol passes a point where a crash leaves another state behind."""

Static = Mapping[str, Shaped[np.ndarray, "..."]]


class AbandonedError(Exception):
    """The commit was given up before its root was renamed."""


class Committer:
    """Writes one capture's blocks into a store, one commit at a time.

    Use `create` or `resume`.
    """

    def __init__(
        self, store: DurableStore, schema: StoreSchema, attributes: dict[str, Any], at_stage: AtStage | None
    ) -> None:
        self.schema = schema
        self.steps = 0
        """Environment steps committed; of a trial, conditions."""
        self.bytes_written = 0
        """Encoded bytes of all committed chunks."""
        self._store = store
        self._attributes = attributes
        self._at_stage = at_stage or (lambda _: None)

    @classmethod
    def create(
        cls,
        store: DurableStore,
        schema: StoreSchema,
        attributes: Mapping[str, Any],
        static: Static,
        at_stage: AtStage | None = None,
    ) -> Committer:
        """Write an empty capture: its static arrays, every document, and the root last."""
        taken = WRITER_ATTRIBUTES & attributes.keys()
        if taken:
            raise ValueError(f"these attributes are the writer's own: {sorted(taken)}")
        if _stored(store, ROOT_KEY) is not None:
            raise CaptureExistsError(f"a capture exists at {store.root}")
        own = {"capture_id": uuid.uuid4().hex, "complete": False}
        committer = cls(store, schema, {**attributes, **own}, at_stage)
        # Before any file appears: attributes that are no JSON, or arrays that do not fit the schema.
        document_bytes(root_document(schema, 0, committer._attributes))
        for spec, values in _checked_static(schema, static):
            committer._write_chunks(spec, values, 0)
        committer._at_stage("chunks-written")
        for group in sorted(group_names(schema.arrays)):
            committer._set(f"{group}/{ROOT_KEY}", document_bytes(group_document({})))
        for spec in schema.arrays.values():
            committer._write_document(spec, 0)
        committer._publish(0)
        return committer

    @classmethod
    def resume(cls, store: DurableStore, schema: StoreSchema, at_stage: AtStage | None = None) -> Committer:
        """Continue after the last committed step, and reset each array's document to its shape in the root document."""
        stored = _stored(store, ROOT_KEY)
        if stored is None:
            raise CaptureNotFoundError(f"there is no capture at {store.root}")
        root = Root.parse(stored)
        _refuse_other_schema(root, schema)
        attributes = dict(root.attributes)
        committer = cls(store, schema, attributes, at_stage)
        committer.steps = root.steps_committed
        committer.bytes_written = int(attributes.get("bytes_written", 0))
        for key in root.metadata_keys():
            document = root.node_bytes(key)
            if key != ROOT_KEY and document is not None and _stored(store, key) != document:
                committer._set(key, document)
        store.settle()
        return committer

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
        for spec in grown:
            if abandoned():
                raise AbandonedError
            if is_buffered(spec):
                self._write_chunks(spec, block.arrays[spec.name], before // self.schema.flush_steps)
        first = sum(1 for step in self.schema.map_steps if step < before)
        for sample, (step, values) in enumerate(block.maps, start=first):
            self._write_chunks(self.schema.arrays["attention/maps"], values[None], sample)
            stamp = np.array([step], dtype=np.int32)
            self._write_chunks(self.schema.arrays["attention/map_step"], stamp, sample)
        self._at_stage("chunks-written")
        if abandoned():
            raise AbandonedError
        for spec in grown:
            self._write_document(spec, after)
        self._publish(after)
        self.steps = after

    def declare_complete(self) -> None:
        """Say in the root that nothing more will come."""
        if self.steps != self.schema.total and not self.schema.may_end_early:
            raise ValueError(f"{self.steps} of {self.schema.total} steps are committed: not complete")
        self._attributes["complete"] = True
        self._publish(self.steps)

    def _length(self, spec: ArraySpec, steps: int) -> int:
        return self.schema.length(spec, steps)

    def _write_chunks(self, spec: ArraySpec, values: Shaped[np.ndarray, ...], first: int) -> None:
        """Write every chunk that `values`, one chunk long on the first axis, consists of."""
        for index in indices(grid_of(values.shape, spec.chunks)):
            cut = tuple(slice(i * size, (i + 1) * size) for i, size in zip(index, spec.chunks, strict=True))
            encoded = encode_chunk(values[cut])
            self._set(chunk_key(spec.name, (first + index[0], *index[1:])), encoded)
            self.bytes_written += len(encoded)

    def _write_document(self, spec: ArraySpec, steps: int) -> None:
        document = array_document(spec, self._length(spec, steps))
        self._set(f"{spec.name}/{ROOT_KEY}", document_bytes(document))
        self._at_stage(f"array-metadata-written:{spec.name}")

    def _publish(self, steps: int) -> None:
        self._attributes["bytes_written"] = self.bytes_written
        document = root_document(self.schema, steps, self._attributes)
        # The root must not reach the disk before what it names.
        self._store.settle()
        staged = self._store.stage(ROOT_KEY, as_buffer(document_bytes(document)))
        self._at_stage("root-staged")
        staged.publish()
        self._at_stage("root-renamed")
        self._store.settle()

    def _set(self, key: str, value: bytes) -> None:
        self._store.set_sync(key, as_buffer(value))


def _checked_static(schema: StoreSchema, static: Static) -> list[tuple[ArraySpec, Shaped[np.ndarray, ...]]]:
    specs = [spec for spec in schema.arrays.values() if spec.growth == "static"]
    names = {spec.name for spec in specs}
    if names != static.keys():
        raise ValueError(
            f"static arrays: missing {sorted(names - static.keys())}, not in the schema {sorted(static.keys() - names)}"
        )
    for spec in specs:
        values = static[spec.name]
        if values.shape != spec.shape or not np.can_cast(values.dtype, spec.dtype, casting="same_kind"):
            raise ValueError(f"{spec.name}: expected {spec.dtype}{spec.shape}, got {values.dtype}{values.shape}")
    return [(spec, static[spec.name].astype(spec.dtype)) for spec in specs]


def _refuse_other_schema(root: Root, schema: StoreSchema) -> None:
    """Raise `SchemaMismatchError` unless the stored arrays are those of `schema`; descriptive attributes may differ."""
    if root.kind != schema.kind:
        raise SchemaMismatchError(f"what is stored here is a {root.kind}, no {schema.kind}")
    if root.schema_version != SCHEMA_VERSION:
        raise SchemaMismatchError(
            f"written by schema {root.schema_version}; schema {SCHEMA_VERSION} cannot continue it"
        )
    stored = dict(root.nodes)
    expected = root_document(schema, root.steps_committed, root.attributes)
    wanted: dict[str, Any] = json.loads(document_bytes(expected))["consolidated_metadata"]["metadata"]
    for name in sorted(stored.keys() | wanted.keys()):
        have, want = ({**nodes.get(name, {}), "attributes": None} for nodes in (stored, wanted))
        if have != want:
            raise SchemaMismatchError(f"{name}: the capture has {have}, its specification asks for {want}")
    for name in ("steps_total", "flush_steps", "row_every"):
        if root.attributes[name] != expected["attributes"][name]:
            have, want = root.attributes[name], expected["attributes"][name]
            raise SchemaMismatchError(f"{name}: the capture has {have}, its specification asks for {want}")


def _stored(store: DurableStore, key: str) -> bytes | None:
    # A writable store would make its folder just to look into it.
    return read_bytes(store.with_read_only(read_only=True), key)
