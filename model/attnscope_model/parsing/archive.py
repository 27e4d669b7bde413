"""Torch's zip archive: its pickle and its storages, read in place and never unpacked to disk."""

from __future__ import annotations

import io
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, Final

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing.opcodes import interpret
from attnscope_model.parsing.rebuilding import Rebuilder
from attnscope_model.parsing.remedies import RESAVE, refuse
from attnscope_model.parsing.storages import ITEM_BYTES, storage_dtype
from attnscope_model.parsing.values import Storage

MAX_ENTRIES: Final = 100_000
"""Entries of an archive, at most: one a storage, and a few."""


class TorchArchive:
    """An open archive.

    Raises
    ------
    CheckpointUnreadableError
        It is not torch's, or its entries are packed, repeated, encrypted or larger than the file.
    """

    def __init__(self, path: Path) -> None:
        self._size = path.stat().st_size
        self._zip = zipfile.ZipFile(path)
        try:
            self._entries = self._checked()
            self._root = self._found_root()
        except CheckpointUnreadableError:
            self.close()
            raise
        self.rebuilder = Rebuilder(self._storage)
        self._storages: dict[str, Storage] = {}

    def close(self) -> None:
        """Close the file; storages that were not loaded cannot be loaded any more."""
        self._zip.close()

    def content(self) -> Any:  # noqa: ANN401 - whatever a pickle holds
        """Return the content of the archive's pickle."""
        order = self._entries.get(f"{self._root}byteorder")
        if order is not None and self._read(order).strip() != b"little":
            raise refuse("it was written on a machine of the other byte order", RESAVE)
        pickled = self._read(self._entries[f"{self._root}data.pkl"])
        return interpret(io.BytesIO(pickled), len(pickled), self.rebuilder)

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            raise refuse(f"its archive has more than {MAX_ENTRIES} entries")
        if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
            raise refuse(
                "its entries are compressed or encrypted, which torch never does",
                "unpack it with unzip and add the checkpoint within",
            )
        if sum(entry.file_size for entry in entries) > self._size:
            raise refuse("its entries claim to be larger than the file, or lie over each other")
        named = {entry.filename: entry for entry in entries}
        if len(named) != len(entries):
            raise refuse("two of its entries have one name")
        return named

    def _found_root(self) -> str:
        """Return what the names of the archive's entries begin with."""
        roots = [name.removesuffix("data.pkl") for name in self._entries if name.split("/")[-1] == "data.pkl"]
        if any("/code/" in f"/{name}" and name.endswith(".py") for name in self._entries):
            raise refuse(
                "a TorchScript archive, which holds code",
                "where you trust it, run: torch.save(torch.jit.load(FILE).state_dict(), 'plain.pt')",
            )
        if self._entries and all(name.endswith(".npy") for name in self._entries):
            raise refuse(
                "a NumPy archive (.npz)",
                "run: torch.save({k: torch.from_numpy(v) for k, v in numpy.load(FILE).items()}, 'plain.pt')",
            )
        if len(roots) != 1:
            raise refuse("a zip archive that torch did not write", "unpack it with unzip and add the checkpoint within")
        return roots[0]

    def _read(self, entry: zipfile.ZipInfo) -> bytes:
        return self._zip.read(entry)

    def _storage(self, identity: tuple[Any, ...]) -> Storage:
        match identity:
            case (_, kind, str(key), _, int(count)) if count >= 0 and key not in self._storages:
                self._storages[key] = self._described(key, storage_dtype(kind), count)
            case (_, kind, str(key), _, int(count)) if count >= 0:
                if (self._storages[key].dtype, self._storages[key].count) != (storage_dtype(kind), count):
                    raise refuse("one storage is described in two ways")
            case _:
                raise refuse("a storage that is none")
        return self._storages[identity[2]]

    def _described(self, key: str, kind: str, count: int) -> Storage:
        entry = self._entries.get(f"{self._root}data/{key}")
        if entry is not None and kind in ITEM_BYTES and entry.file_size != count * ITEM_BYTES[kind]:
            raise refuse(f"a storage of {count} {kind} has {entry.file_size} bytes")
        return Storage(kind, count, None if entry is None else partial(self._read, entry))
