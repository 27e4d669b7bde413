"""A store that is written from chunks which somebody else encoded, and who is not believed.

Every document is made here, from the schema. Of the next commit, and of no other, encoded chunks are taken: exactly
those that it adds entries to, each a frame of its own size that decodes and holds the committed entries as they are.
The commits are those of `attnscope_storage.writing.commit`, behind the same fence.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from attnscope_storage.errors import CaptureExistsError, ChunkDamagedError, ChunkRefusedError
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.layout.bucket_store import BucketStore, Sent
from attnscope_storage.layout.chunks import check_frame, decode_chunk, most_encoded
from attnscope_storage.layout.root import WRITER_ATTRIBUTES, document_bytes, root_document
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.layout.store import Staged, as_buffer
from attnscope_storage.layout.store_schema import StoreSchema
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.writing.bucket_fence import BucketFence
from attnscope_storage.writing.due import DueChunk, due_chunks, next_commit
from attnscope_storage.writing.fence import Fence, Tenure
from attnscope_storage.writing.fitting import refuse_other_schema
from attnscope_storage.writing.staging import Staging, put_back, write_documents
from attnscope_storage.writing.writer import store_to_write


class ReceivedStore:
    """The store of one attempt, as it arrives. For one thread at a time.

    Parameters
    ----------
    place
        Folder or place in a bucket.
    schema
        Its arrays.
    tenure
        The attempt's right to write; opening takes the store over from every earlier attempt.
    durable
        Fsync each commit before it is acknowledged.
    check
        Looks at each chunk by the name of its array, and raises `ChunkRefusedError` where it is not to be taken.

    Raises
    ------
    FencedError, LeaseLostError
        A newer attempt has the store, or the lease is over.
    SchemaMismatchError
        What is there has other arrays.
    """

    def __init__(
        self,
        place: StorePath,
        schema: StoreSchema,
        tenure: Tenure,
        *,
        durable: bool = True,
        check: Callable[[str, Shaped[np.ndarray, ...]], None] | None = None,
    ) -> None:
        self.schema, self._check = schema, check
        self.bytes_written = 0
        """Encoded bytes of all committed chunks."""
        self._store = store_to_write(place, tenure, durable=durable)
        self._fence = (
            BucketFence(self._store, tenure) if isinstance(self._store, BucketStore) else Fence(self._store, tenure)
        )
        self._staged: dict[str, tuple[str, int, Staged | Sent]] = {}
        self._reader: CaptureReader | None = None
        self._attributes: dict[str, Any] = {}
        with self._fence.entered() as stored:
            if stored is None:
                return
            root = Root.parse(stored)
            refuse_other_schema(root, schema)
            put_back(self._store, root)
            self._attributes = self._fence.marks(root.attributes, root.steps_committed)
            self.bytes_written = int(root.attributes.get("bytes_written", 0))
            self._publish(root.steps_committed)
        self._fence.sweep()

    @property
    def steps(self) -> int | None:
        """Entries that are committed; None where the store is not made yet."""
        return None if self._reader is None else self._reader.steps_committed

    @property
    def complete(self) -> bool:
        """True where nothing more will come."""
        return bool(self._attributes.get("complete"))

    def take(self, number: int, array: str, index: tuple[int, ...], encoded: bytes, sha256: str) -> None:
        """Take a chunk of the next commit; it has no name before that.

        Parameters
        ----------
        number
            The commit: entries that it leaves committed.
        array, index
            The chunk.
        encoded
            Its bytes.
        sha256
            Their hash as the sender has it, hex.

        Raises
        ------
        ChunkRefusedError
            It is of no chunk of the next commit, or not what the sender meant to send, or changes committed entries.
        """
        if not hmac.compare_digest(hashlib.sha256(encoded).hexdigest(), sha256):
            raise ChunkRefusedError(f"a chunk of {array} arrived with another SHA-256 than it was sent with")
        due = self._due(number, array, index)
        form = due.spec.dtype, due.spec.chunks
        try:
            check_frame(encoded, *form)
            if len(encoded) > (most := most_encoded(*form)):  # a frame may be followed by others that hold nothing
                raise ChunkRefusedError(f"{due.key}: {len(encoded)} bytes are more than the {most} of any such chunk")
            values = decode_chunk(encoded, *form)
        except ChunkDamagedError as error:
            raise ChunkRefusedError(f"{due.key}: {error.message}") from error
        if due.committed:
            known = decode_chunk(self._stored(due.key), due.spec.dtype, due.spec.chunks)
            if known[: due.committed].tobytes() != values[: due.committed].tobytes():
                raise ChunkRefusedError(f"{due.key}: its {due.committed} committed entries would change")
        if self._check is not None:
            self._check(array, values)
        self._staged[due.key] = (sha256, len(encoded), self._store.stage(due.key, as_buffer(encoded)))

    def commit(self, number: int, listed: Mapping[str, str], attributes: Mapping[str, Any] | None = None) -> None:
        """Commit what was taken; the same commit again changes nothing.

        Parameters
        ----------
        number
            Entries that it leaves committed; 0 makes the store.
        listed
            SHA-256 of every chunk of the commit, by key.
        attributes
            Root attributes of a new store.

        Raises
        ------
        ChunkRefusedError
            It is not the next commit, or its chunks are not those that were taken.
        FencedError, LeaseLostError
            As at the opening.
        """
        if number == self.steps:
            self._refuse_other(listed)
            return
        if number != next_commit(self.schema, self.steps):
            raise ChunkRefusedError(f"commit {number} is not the next one; {self.steps} entries are committed")
        due = {one.key: one for one in due_chunks(self.schema, self.steps, number)}
        taken = {key: sha for key, (sha, _, _) in self._staged.items() if key in due}
        if taken != dict(listed) or due.keys() != taken.keys():
            missing = sorted(due.keys() - taken.keys())[:3]
            raise ChunkRefusedError(f"commit {number} has other chunks than were sent for it; missing are {missing}")
        self._write(number, due, attributes)
        self._staged = {}

    def declare_complete(self) -> None:
        """Say in the root that nothing more will come; a second time changes nothing.

        Raises
        ------
        ChunkRefusedError
            Entries are missing.
        """
        steps = self.steps
        if self.complete:
            return
        if not steps or (steps != self.schema.total and not self.schema.may_end_early):
            raise ChunkRefusedError(f"{steps} of {self.schema.total} entries are committed: not complete")
        if self._store.documents_at_end:
            write_documents(self._store, self.schema, steps)
        self._attributes["complete"] = True
        with self._fence.held():
            self._publish(steps)

    def _due(self, number: int, array: str, index: tuple[int, ...]) -> DueChunk:
        if number != next_commit(self.schema, self.steps):
            raise ChunkRefusedError(f"commit {number} is not the next one; {self.steps} entries are committed")
        spec = self.schema.arrays.get(array)
        if spec is not None:
            for due in due_chunks(self.schema, self.steps, number):
                if due.spec is spec and due.index == index:
                    return due
        shown = array if spec is not None else "an unknown array"
        raise ChunkRefusedError(f"commit {number} writes no chunk {'.'.join(map(str, index))} of {shown}")

    def _write(self, number: int, due: Mapping[str, DueChunk], attributes: Mapping[str, Any] | None) -> None:
        staging = Staging(self._store, self.schema)
        for key in due:
            staging.add_staged(self._staged[key][2])
        replaced = sum(len(self._stored(key)) for key, one in due.items() if one.committed)
        self.bytes_written += sum(self._staged[key][1] for key in due) - replaced
        if self.steps is None:
            own = {"capture_id": uuid.uuid4().hex, "complete": False}
            given = {name: value for name, value in (attributes or {}).items() if name not in WRITER_ATTRIBUTES}
            self._attributes = self._fence.marks({**given, **own}, 0)
            document_bytes(root_document(self.schema, 0, self._attributes))  # refused before any file appears
            staging.add_groups()
            staging.add_documents(self.schema.arrays.values(), 0)
            with self._fence.entered() as stored:
                if stored is not None:
                    raise CaptureExistsError(f"a capture exists at {self._store.root}")
                staging.publish(lambda _: None)
                self._publish(0)
            return
        staging.add_documents({one.spec.name: one.spec for one in due.values()}.values(), number)
        with self._fence.held():
            staging.publish(lambda _: None)
            self._publish(number)

    def _publish(self, steps: int) -> None:
        self._attributes["bytes_written"] = self.bytes_written
        document = document_bytes(root_document(self.schema, steps, self._attributes))
        self._fence.publish(document, lambda _: None)
        self._reader = CaptureReader(self._store.with_read_only(read_only=True), Root.parse(document))

    def _stored(self, key: str) -> bytes:
        assert self._reader is not None  # noqa: S101 - there are committed entries
        return self._reader.chunk_bytes(key)

    def _refuse_other(self, listed: Mapping[str, str]) -> None:
        """Refuse a commit that was made already, and with other chunks."""
        assert self._reader is not None  # noqa: S101 - its number is that of the committed entries
        for key, sha256 in listed.items():
            if not self._holds(key, sha256):
                raise ChunkRefusedError(f"commit {self.steps} was made already, with another chunk {key[:200]}")

    def _holds(self, key: str, sha256: str) -> bool:
        try:
            return hmac.compare_digest(hashlib.sha256(self._stored(key)).hexdigest(), sha256)
        except LookupError:
            return False
