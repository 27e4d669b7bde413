"""A safetensors file: its header checked entry by entry, its tensors cut out of the bytes behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing.remedies import COPY_AGAIN, refuse
from attnscope_model.parsing.storages import ITEM_BYTES
from attnscope_model.parsing.values import Storage, StoredTensor, shown

LENGTH_BYTES: Final = 8

MAX_HEADER_BYTES: Final = 16 * 2**20
"""Bytes of a header, at most; one entry takes about 100."""

MAX_ENTRIES: Final = 100_000

MAX_DIMENSIONS: Final = 32

_AGAIN: Final = "write it again with safetensors.torch.save_file"

DTYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "F64": "float64",
        "F32": "float32",
        "F16": "float16",
        "BF16": "bfloat16",
        "I64": "int64",
        "I32": "int32",
        "I16": "int16",
        "I8": "int8",
        "U8": "uint8",
        "U16": "uint16",
        "U32": "uint32",
        "U64": "uint64",
        "BOOL": "bool",
    }
)
"""Torch dtype by the format's own."""


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """Return the tensors of a safetensors file.

    Raises
    ------
    CheckpointUnreadableError
        The header is no JSON, a name stands twice, or a tensor's bytes are not those of its shape, overlap another's,
        leave a gap or lie beyond the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if length > min(MAX_HEADER_BYTES, size - LENGTH_BYTES):
            raise refuse(f"its header claims {length} bytes", COPY_AGAIN)
        header = _parsed(file.read(length))
    start = LENGTH_BYTES + length
    entries = {name: _entry(name, entry) for name, entry in header.items() if name != "__metadata__"}
    end = 0
    for name, (_, _, begin, stop) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if begin != end:
            raise refuse(f"{shown(name)}: its bytes overlap another tensor's, or leave a gap", _AGAIN)
        end = stop
    if start + end != size:
        raise refuse(f"its tensors end at byte {start + end}, the file at {size}", COPY_AGAIN)
    return {name: _stored(path, start, *entry) for name, entry in entries.items()}


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        if isinstance(error, CheckpointUnreadableError):
            raise
        raise refuse("its header is no JSON", _AGAIN) from error
    if not isinstance(header, dict) or len(header) > MAX_ENTRIES:
        raise refuse(f"its header is no mapping of at most {MAX_ENTRIES} names", _AGAIN)
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise refuse("a name stands twice in its header", _AGAIN)
    return found


def _entry(name: str, entry: object) -> tuple[str, tuple[int, ...], int, int]:
    """Return dtype, shape and the range of bytes of one tensor."""
    match entry:
        case {"dtype": str(code), "shape": list(shape), "data_offsets": [int(begin), int(stop)]}:
            kind = DTYPES.get(code)
        case _:
            raise refuse(f"{shown(name)}: its entry has no dtype, shape and offsets", _AGAIN)
    if kind is None:
        raise refuse(f"{shown(name)}: expected a dense real tensor, got {shown(code)}", "save it as float32")
    if len(shape) > MAX_DIMENSIONS or not all(type(length) is int and 0 <= length < 2**63 for length in shape):
        raise refuse(f"{shown(name)}: its shape is none", _AGAIN)
    tensor = _strided(kind, tuple(shape))
    if not 0 <= begin <= stop or stop - begin != tensor.numel * ITEM_BYTES[kind]:
        raise refuse(f"{shown(name)}: {stop - begin} bytes for shape {shape[:8]} of {kind}", _AGAIN)
    return kind, tuple(shape), begin, stop


def _stored(path: Path, start: int, kind: str, size: tuple[int, ...], begin: int, stop: int) -> StoredTensor:
    tensor = _strided(kind, size)
    tensor.storage.load = partial(_read, path, start + begin, stop - begin)
    return tensor


def _strided(kind: str, size: tuple[int, ...]) -> StoredTensor:
    """Return a tensor that fills its storage, without its bytes."""
    stride: list[int] = []
    count = 1
    for length in reversed(size):
        stride.insert(0, count)
        count *= length
    return StoredTensor(Storage(kind, count), kind, 0, size, tuple(stride))


def _read(path: Path, start: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)
