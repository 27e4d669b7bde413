"""Torch's older file of several pickles with the storages behind them, and a plain pickle of tensors or arrays."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, Final, Protocol

from attnscope_model.parsing.machine import Rebuilding
from attnscope_model.parsing.opcodes import interpret
from attnscope_model.parsing.remedies import COPY_AGAIN, RESAVE, refuse
from attnscope_model.parsing.storages import ITEM_BYTES, storage_dtype
from attnscope_model.parsing.values import Storage

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
_COUNT_BYTES: Final = 8

StorageOf = Callable[[tuple[Any, ...]], Storage]


class _MakesRebuilding(Protocol):
    def __call__(self, storage: StorageOf | None, *, nested: bool = False) -> Rebuilding: ...


def read_legacy(stream: BinaryIO, end: int, rebuilding: _MakesRebuilding, *, nested: bool = False) -> Any:  # noqa: ANN401 - whatever a pickle holds
    """Return the content of a file that begins with a pickle: torch's older format, or a plain pickle.

    Raises
    ------
    CheckpointUnreadableError
        It is damaged, holds several pickles, or was written on a machine of the other byte order.
    """
    first = interpret(stream, end, rebuilding(None, nested=nested))
    if first != _MAGIC or isinstance(first, float):
        if stream.tell() != end:
            raise refuse("it holds several pickles, or more than its pickle")
        return first
    if interpret(stream, end, rebuilding(None, nested=True)) != _PROTOCOL:
        raise refuse("torch's older format in a version that is not known", RESAVE)
    system = interpret(stream, end, rebuilding(None, nested=True))
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise refuse("it was written on a machine of the other byte order", RESAVE)
    storages: dict[str, Storage] = {}
    content = interpret(stream, end, rebuilding(partial(_known_storage, storages), nested=nested))
    _place(stream, end, storages, interpret(stream, end, rebuilding(None, nested=True)), in_memory=nested)
    return content


def _known_storage(storages: dict[str, Storage], identity: tuple[Any, ...]) -> Storage:
    match identity:
        case (_, kind, str(key), _, int(count), *view) if count >= 0 and all(part is None for part in view):
            storage = storages.setdefault(key, Storage(storage_dtype(kind), count))
            if storage.count != count or storage.dtype != storage_dtype(kind):
                raise refuse("one storage is described in two ways")
            return storage
        case _:
            raise refuse("a storage that is none, or a view of one")


def _place(stream: BinaryIO, end: int, storages: dict[str, Storage], keys: object, *, in_memory: bool) -> None:
    """Find the bytes of each storage behind the pickles."""
    if not isinstance(keys, list) or len(set(map(str, keys))) != len(keys):
        raise refuse("its list of storages is none")
    for key in keys:
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None or storage.dtype not in ITEM_BYTES:
            raise refuse("it lists a storage that no tensor has, or of a type that is not read")
        count = int.from_bytes(stream.read(_COUNT_BYTES), "little")
        start, size = stream.tell(), storage.count * ITEM_BYTES[storage.dtype]
        if count != storage.count or size > end - start:
            raise refuse("a storage is cut off, or has another length than its tensors say", COPY_AGAIN)
        storage.load = partial(_read, stream, start, size)
        if in_memory:
            storage.load = partial(bytes, storage.load())
        stream.seek(start + size)
    if missing := [key for key, storage in storages.items() if storage.load is None]:
        raise refuse(f"{len(missing)} storages are missing", COPY_AGAIN)


def _read(stream: BinaryIO, start: int, size: int) -> bytes:
    stream.seek(start, io.SEEK_SET)
    return stream.read(size)
