"""Checkpoints at a worker: fetched once, held by what they contain, and bounded in bytes.

What is fetched is believed only where its SHA-256 is the id that the job names, and is read by the same child with the
same limits as a checkpoint that an operator adds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import structlog

from attnscope_model.checkpoints.folders import ENTRY, move_in, new_folder, read_entry, sweep
from attnscope_model.errors import CheckpointUnreadableError
from attnscope_server.errors import ServiceError
from attnscope_server.pulling.scratch import Scratch
from attnscope_server.running.cached_checkpoints import hold, make_room
from attnscope_storage.wire import CheckpointInfo

log = structlog.get_logger("attnscope.pulling")

WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"

Fetch = Callable[[str, IO[bytes], int], None]
"""Writes a file of the checkpoint into an open file, at most so many bytes."""


class CheckpointCache:
    """The checkpoints of one folder, which several workers of a machine may share.

    Parameters
    ----------
    root
        Folder like a data root: checkpoints lie below it.
    most
        Bytes of all checkpoints together; those in use are kept whatever they take.
    """

    def __init__(self, root: Path, most: int) -> None:
        self.root, self._most = root, most
        self._folder = root / "checkpoints"
        self.scratch = Scratch(root / "scratch")

    def sweep(self) -> None:
        """Remove what workers left here that died: folders of commits on their way, and halves of checkpoints."""
        self.scratch.sweep()
        sweep(self._folder)

    @contextmanager
    def held(self, info: CheckpointInfo, fetch: Fetch) -> Iterator[None]:
        """Hold a checkpoint while the context lasts, fetching it where it is not here.

        Raises
        ------
        CheckpointUnreadableError, CheckpointChangedError
            What was fetched is not the checkpoint of that id, or does not load within the limits.
        ServiceError
            A file is larger than any checkpoint may be; or as `fetch`.
        """
        with self._locked(info, fetch) as folder:
            self._bring_up(folder, info)
            make_room(self._folder, self._most)
            yield

    @contextmanager
    def _locked(self, info: CheckpointInfo, fetch: Fetch) -> Iterator[Path]:
        """Yield the folder of a checkpoint; nobody removes it while the context lasts."""
        folder = self._folder / info.id
        for _ in range(3):  # between fetching and locking it, another worker may make room
            if not (folder / ENTRY).exists():
                self._fetch(info, fetch)
            if (descriptor := hold(folder)) is not None:
                break
        else:
            raise ServiceError(f"the cache {self._folder} is too small: checkpoints go as they come")
        try:
            yield folder
        finally:
            os.close(descriptor)

    def _fetch(self, info: CheckpointInfo, fetch: Fetch) -> None:
        from attnscope_model.checkpoints.adoption import adopt  # noqa: PLC0415 - imports torch
        from attnscope_model.checkpoints.examined import MAX_CONFIG_BYTES  # noqa: PLC0415 - as above
        from attnscope_model.parsing.limits import MAX_FILE_BYTES  # noqa: PLC0415 - as above

        log.info("a checkpoint is fetched", checkpoint=info.id[:12], name=info.name)
        with new_folder(self._folder) as fetched, new_folder(self._folder) as adopted:
            for name, most in ((CONFIG, MAX_CONFIG_BYTES), (WEIGHTS, MAX_FILE_BYTES)):
                with (fetched / name).open("wb") as file:
                    fetch(name, file, most)
            (fetched / ENTRY).write_text(info.model_dump_json(), encoding="utf-8")
            found = adopt(fetched, adopted)
            if found != info:
                raise CheckpointUnreadableError(f"the entry of {info.id[:12]} is not what its files give")
            move_in(self._folder, adopted, info.id)

    def _bring_up(self, folder: Path, info: CheckpointInfo) -> None:
        """Write the entry anew where the service has another name or other statements for the same files."""
        if read_entry(folder) != info:
            from attnscope_model.checkpoints.conversion import write_entry  # noqa: PLC0415 - imports torch

            write_entry(folder, info)


def default_cache() -> Path:
    """Return the usual folder of a worker's checkpoints."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - only here

    return user_cache_path("attnscope") / "worker"
