"""Checkpoints on machines that do not see the data root: fetched once, by content, and kept in a folder there."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from attnscope_model.checkpoints.folders import SCRATCH, move_in
from attnscope_model.errors import CheckpointChangedError

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
    root
        Folder that stands for a data root here: `checkpoints` lies in it.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or user_cache_path("attnscope") / "ray"
        self._coming: dict[str, Path] = {}

    @property
    def root(self) -> Path:
        """Folder that stands for a data root here."""
        return self._root

    def has(self, checkpoint: str) -> bool:
        """Return True where a checkpoint is here, whole."""
        return (self._folder / checkpoint / ENTRY).is_file()

    def store(self, checkpoint: str, name: str, piece: bytes) -> None:
        """Append a piece to a file of a checkpoint that is coming."""
        if name not in FILES:
            raise CheckpointChangedError(f"a checkpoint has no file {name[:40]!r}")
        if checkpoint not in self._coming:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._coming[checkpoint] = Path(tempfile.mkdtemp(dir=self._folder, prefix=SCRATCH))
        with (self._coming[checkpoint] / name).open("ab") as file:
            file.write(piece)

    def complete(self, checkpoint: str) -> None:
        """Make the files that came an entry.

        Raises
        ------
        CheckpointChangedError
            They do not add up to the checkpoint's id.
        """
        folder = self._coming.pop(checkpoint)
        try:
            digests = b"".join(_sha256(folder / name) for name in (WEIGHTS, CONFIG))
            if hashlib.sha256(digests).hexdigest() != checkpoint:
                raise CheckpointChangedError(f"the bytes of checkpoint {checkpoint[:12]} changed on their way")
            move_in(self._folder, folder, checkpoint)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # moved in, damaged, or another actor's came first

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
