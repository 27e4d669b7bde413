"""A local folder read without following symbolic links: what a capture holds is what was written into it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from attnscope_storage.errors import ChunkDamagedError


class ConfinedStore(LocalStore):
    """A read-only `zarr.storage.LocalStore` that reads no key which is a symbolic link or lies behind one.

    The folder itself may be one: it is what the caller named.
    """

    def __init__(self, root: Path | str, *, read_only: bool = True) -> None:
        super().__init__(root, read_only=read_only)

    def __reduce__(self) -> tuple[type[ConfinedStore], tuple[Path]]:
        """Pickle the folder; another process may work elsewhere, so its path is absolute."""
        return type(self), (Path(self.root).absolute(),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalStore) and self.root == other.root

    __hash__ = None  # type: ignore[assignment]  # as every Zarr store: equal by content, so not hashed

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return what is stored under a key.

        Raises
        ------
        ChunkDamagedError
            There is a symbolic link on the way.
        """
        refuse_links(self.root, key)
        return await super().get(key, prototype, byte_range)


def refuse_links(root: Path, key: str) -> None:
    """Refuse a key that is a symbolic link below `root`, or lies behind one.

    Raises
    ------
    ChunkDamagedError
        It is.
    """
    place = str(root)
    for part in key.split("/"):
        place = f"{place}/{part}"
        try:
            mode = os.lstat(place).st_mode
        except OSError:
            return  # what is not there is for the reader to miss
        if stat.S_ISLNK(mode):
            raise ChunkDamagedError(f"{key}: a symbolic link stands where a capture has none")
