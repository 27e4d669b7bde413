"""Writing a capture beside the rollout that makes it.

The rollout borrows a `StepBlock`, fills it and submits it; a thread of the writer's encodes it (zstd without the GIL)
and commits it. `attnscope_storage.writing.commit` tells what a crash leaves behind, `attnscope_storage.layout.store`
what a power loss does, and `attnscope_storage.writing.blocks` how memory stays flat.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Shaped

from attnscope_storage.layout.bucket import BucketPath, StorePath
from attnscope_storage.layout.bucket_store import BucketStore
from attnscope_storage.layout.store import PARTIAL_SUFFIX, DurableStore
from attnscope_storage.layout.store_schema import StoreSchema
from attnscope_storage.writing.blocks import BlockPool, StepBlock
from attnscope_storage.writing.commit import Committer
from attnscope_storage.writing.fence import Tenure
from attnscope_storage.writing.lock import CaptureLock
from attnscope_storage.writing.staging import AbandonedError, AtStage

DEFAULT_BLOCKS = 3
"""Step blocks of a writer: one being filled, one being written, one of slack."""


@dataclass(frozen=True)
class Commit:
    """The state of a capture after a commit."""

    steps_committed: int
    bytes_written: int
    """Encoded bytes of all chunks committed since the capture was created, resumed or not."""


OnCommit = Callable[[Commit], None]


class CaptureWriter:
    """The one writer of a capture. Use `create` or `resume`, and best as a context manager.

    Leaving the ``with`` block without `close` drops what is not committed. An error of the writing thread is raised
    from the next `acquire`, `submit` or `close`; the capture then stays readable up to its last commit.
    """

    def __init__(self, committer: Committer, lock: CaptureLock | None, blocks: int, on_commit: OnCommit | None) -> None:
        self.schema = committer.schema
        self._committer = committer
        self._lock = lock
        self._on_commit = on_commit
        self._pool = BlockPool(committer.schema, blocks)
        self._steps_submitted = committer.steps
        # A daemon: a rollout that dies without closing must not keep its process alive.
        self._thread = threading.Thread(target=self._run, name="attnscope-writer", daemon=True)
        self._thread.start()

    @classmethod
    def create(
        cls,
        path: StorePath,
        schema: StoreSchema,
        attributes: Mapping[str, Any],
        static: Mapping[str, Shaped[np.ndarray, ...]],
        *,
        tenure: Tenure | None = None,
        durable: bool = True,
        blocks: int = DEFAULT_BLOCKS,
        on_commit: OnCommit | None = None,
        at_stage: AtStage | None = None,
    ) -> CaptureWriter:
        """Create a capture without steps and return its writer.

        Parameters
        ----------
        path
            Folder of the capture, or its place in a bucket; made here, its parents too. One whose creation was
            interrupted may be reused.
        schema
            Its arrays.
        attributes
            Root attributes, JSON; those in `attnscope_storage.layout.root.WRITER_ATTRIBUTES` are the writer's own.
        static
            Exactly the arrays that do not grow.
        tenure
            The right of a job's attempt, which a newer attempt takes over. None locks the capture instead.
        durable
            Fsync each commit before it is reported, so that it survives a power loss.
        blocks
            Step blocks to allocate.
        on_commit
            Called in the writer's thread after each commit.
        at_stage
            For tests: called with ``chunks-written``, ``array-metadata-written:<array>``, ``root-staged`` and
            ``root-renamed``, here while creating and in the writer's thread afterwards.

        Raises
        ------
        CaptureExistsError
            There is a capture already; `resume` it.
        CaptureLockedError
            Another writer holds it.
        StorageFullError, StorageUnwritableError
            The disk is full, or refuses writes.
        """
        store = store_to_write(path, tenure, durable=durable)
        return cls._made(
            path,
            tenure,
            lambda: Committer.create(store, schema, attributes, static, at_stage, tenure),
            blocks,
            on_commit,
        )

    @classmethod
    def resume(
        cls,
        path: StorePath,
        schema: StoreSchema,
        *,
        tenure: Tenure | None = None,
        durable: bool = True,
        blocks: int = DEFAULT_BLOCKS,
        on_commit: OnCommit | None = None,
        at_stage: AtStage | None = None,
    ) -> CaptureWriter:
        """Return a writer that continues after the last commit. The caller's attributes stay as they are.

        With a tenure it takes the capture over from every earlier attempt, also from one that still runs.

        Raises
        ------
        CaptureNotFoundError
            No capture was ever completely created here.
        SchemaMismatchError
            The capture has other arrays than `schema`.
        CaptureLockedError
            Another writer holds it.
        FencedError
            A newer attempt has it.
        """
        store = store_to_write(path, tenure, durable=durable)
        make = partial(Committer.resume, store, schema, at_stage, tenure)
        return cls._made(path, tenure, make, blocks, on_commit)

    @classmethod
    def _made(
        cls,
        path: StorePath,
        tenure: Tenure | None,
        make: Callable[[], Committer],
        blocks: int,
        on_commit: OnCommit | None,
    ) -> CaptureWriter:
        lock = CaptureLock(path) if tenure is None and isinstance(path, Path) else None
        try:
            return cls(make(), lock, blocks, on_commit)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    @property
    def steps_committed(self) -> int:
        """Environment steps that readers can see."""
        return self._committer.steps

    @property
    def complete(self) -> bool:
        """True where the capture is declared finished."""
        return self._committer.complete

    def acquire(self) -> StepBlock:
        """Return an empty block to fill; waits while every block is queued."""
        return self._pool.acquire()

    def submit(self, block: StepBlock) -> None:
        """Queue a filled block. It belongs to the writer from now on.

        Raises
        ------
        ValueError
            The block is partial though more steps are to come, holds none or too many, or its maps are not those
            that the schema samples in these steps.
        """
        self._pool.check()
        self._refuse_malformed(block)
        self._pool.submit(block)
        self._steps_submitted += block.steps

    def close(self, *, complete: bool) -> None:
        """Write what is queued, stop the thread and release the capture.

        Parameters
        ----------
        complete
            Declare the capture finished; every step must have been submitted.
        """
        try:
            self._pool.finish(drop=False)
            self._thread.join()
            self._pool.check()
            if complete:
                self._committer.declare_complete()
        finally:
            # An interrupt may end the wait before the thread: then it still writes, and `abort` waits for it.
            if not self._thread.is_alive():
                self._release()

    def abort(self) -> None:
        """Drop what is not committed, stop the thread and release the capture. Safe to call twice."""
        self._pool.finish(drop=True)
        self._thread.join()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> CaptureWriter:  # noqa: PYI034  # beartype cannot check Self under jaxtyping's hook
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()

    def _refuse_malformed(self, block: StepBlock) -> None:
        first, total = self._steps_submitted, self.schema.total
        last = first + block.steps
        if not 1 <= block.steps <= self.schema.flush_steps or last > total:
            raise ValueError(f"expected 1 to {min(self.schema.flush_steps, total - first)} steps, got {block.steps}")
        if block.steps < self.schema.flush_steps and last != total:
            raise ValueError(
                f"a block of {block.steps} steps may only be the last, but {total - last} steps are to come"
            )
        sampled = sorted(step for step in self.schema.map_steps if first <= step < last)
        if [step for step, _ in block.maps] != sampled:
            raise ValueError(f"expected maps of steps {sampled}, got {[step for step, _ in block.maps]}")
        for step, values in block.maps:
            shape = self.schema.arrays["attention/maps"].shape[1:]
            if values.dtype != np.float16 or values.shape != shape:
                raise ValueError(f"map of step {step}: expected float16{shape}, got {values.dtype}{values.shape}")

    def _run(self) -> None:
        try:
            while (block := self._pool.take()) is not None:
                self._committer.commit(block, lambda: self._pool.dropped)
                if self._on_commit is not None:
                    self._on_commit(Commit(self._committer.steps, self._committer.bytes_written))
                self._pool.recycle(block)
        except AbandonedError:
            return
        except BaseException as error:  # noqa: BLE001  # whatever it is belongs to the rollout, which waits for it
            self._pool.fail(error)


def store_to_write(path: StorePath, tenure: Tenure | None, *, durable: bool) -> DurableStore | BucketStore:
    """Return the folder to write into; the unfinished files of two attempts have different names."""
    if isinstance(path, BucketPath):
        return BucketStore(path, read_only=False)
    return DurableStore(path, durable=durable, partial=PARTIAL_SUFFIX if tenure is None else tenure.partial)
