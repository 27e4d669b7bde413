"""Checkpoints on machines that do not see the data root: fetched once, by content, into a bounded folder there."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from attnscope_model.checkpoints.folders import move_in, new_folder, sweep
from attnscope_model.errors import CheckpointChangedError
from attnscope_server.running.cached_checkpoints import hold, make_room

WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"
ENTRY: Final = "entry.json"
FILES: Final = (WEIGHTS, CONFIG, ENTRY)
"""Files of a registered checkpoint."""

PIECE_BYTES: Final = 32 * 2**20
"""Bytes of a file that travel at once."""


def pieces(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a registered checkpoint in pieces, each with its file's name."""
    for name in FILES:
        with (folder / name).open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield name, piece


class Cache:
    """Checkpoints that came from a service.

    Parameters
    ----------
    most
        Bytes of all checkpoints together; those in use are kept whatever they take.
    root
        Folder that stands for a data root here: `checkpoints` lies in it. None: the usual one of this account.
    """

    def __init__(self, most: int, root: Path | None = None) -> None:
        self._root, self._most = root or user_cache_path("attnscope") / "ray", most
        self._coming: dict[str, tuple[ExitStack, Path]] = {}
        self._held: dict[str, int] = {}

    @property
    def root(self) -> Path:
        """Folder that stands for a data root here."""
        return self._root

    def sweep(self) -> None:
        """Remove the halves of checkpoints that actors left here which died."""
        sweep(self._folder)

    def hold(self, checkpoints: Sequence[str]) -> tuple[str, ...]:
        """Hold these checkpoints for the next attempt, and let go of all others; return those that are not here.

        Where all are here, room is made: what nobody holds and was not used for longest goes.
        """
        for name in self._held.keys() - set(checkpoints):
            os.close(self._held.pop(name))
        for coming, _ in self._coming.values():  # of an order that was not brought to its end
            coming.close()
        self._coming.clear()
        missing = tuple(name for name in checkpoints if not self._hold(name))
        if not missing:
            make_room(self._folder, self._most)
        return missing

    def store(self, checkpoint: str, name: str, piece: bytes) -> None:
        """Append a piece to a file of a checkpoint that is coming."""
        if name not in FILES:
            raise CheckpointChangedError(f"a checkpoint has no file {name[:40]!r}")
        if checkpoint not in self._coming:
            coming = ExitStack()
            self._coming[checkpoint] = coming, coming.enter_context(new_folder(self._folder))
        with (self._coming[checkpoint][1] / name).open("ab") as file:
            file.write(piece)

    def complete(self, checkpoint: str) -> None:
        """Make the files that came an entry, and hold it.

        Raises
        ------
        CheckpointChangedError
            They do not add up to the checkpoint's id.
        """
        coming, folder = self._coming.pop(checkpoint)
        with coming:  # what was not moved in goes: damaged, or another actor's came first
            digests = b"".join(_sha256(folder / name) for name in (WEIGHTS, CONFIG))
            if hashlib.sha256(digests).hexdigest() != checkpoint:
                raise CheckpointChangedError(f"the bytes of checkpoint {checkpoint[:12]} changed on their way")
            move_in(self._folder, folder, checkpoint)
        self._hold(checkpoint)

    def _hold(self, checkpoint: str) -> bool:
        if checkpoint in self._held:
            return True
        if (descriptor := hold(self._folder / checkpoint)) is None:
            return False
        self._held[checkpoint] = descriptor
        return True

    def renew(self, checkpoint: str, entry: bytes) -> None:
        """Bring the entry of a checkpoint that is here up to date: its name and its tasks may be stated anew."""
        path = self._folder / checkpoint / ENTRY
        if path.read_bytes() != entry:
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(entry)
            Path(file.name).replace(path)

    @property
    def _folder(self) -> Path:
        return self._root / "checkpoints"


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
