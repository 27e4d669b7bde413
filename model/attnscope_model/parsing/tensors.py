"""Torch tensors out of the bytes of a storage or an array, after every size was held against the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attnscope_model.parsing.numbers import to_numpy
from attnscope_model.parsing.remedies import COPY_AGAIN, RESAVE, refuse
from attnscope_model.parsing.storages import ITEM_BYTES
from attnscope_model.parsing.values import Array, Storage, StoredTensor, shown

if TYPE_CHECKING:
    from torch import Tensor


def plain_tensors(found: Mapping[str, StoredTensor | Array], most_bytes: int) -> dict[str, Tensor]:
    """Return tensors whole, real ones as float32.

    Parameters
    ----------
    most_bytes
        Bytes that all of them may claim together.

    Raises
    ------
    CheckpointUnreadableError
        They claim more than their file can hold, lie beyond their storage, or are not dense, real and finite.
    """
    import torch  # noqa: PLC0415 - the parent of the parser never needs it

    claimed = 4 * sum(value.numel for value in found.values())
    if claimed > most_bytes:
        raise refuse(f"its tensors would take {claimed} bytes, more than the {most_bytes} it can hold", COPY_AGAIN)
    loaded: dict[int, bytearray] = {}
    tensors = {}
    for name, value in found.items():
        whole = _of_storage(name, value, loaded) if isinstance(value, StoredTensor) else _of_array(name, value)
        tensors[name] = whole.float() if whole.is_floating_point() else whole
        if not bool(torch.isfinite(tensors[name]).all()):
            raise refuse(f"{shown(name)}: a weight is not finite", _not_finite(name))
    return tensors


def _not_finite(name: str) -> str:
    if "mask" in name or name.endswith("attn.bias"):
        return f"where it is a mask that its family has anyway, leave it out with --ignore '{shown(name)}'"
    return "its training diverged or its file is damaged: take an earlier checkpoint"


def _of_storage(name: str, value: StoredTensor, loaded: dict[int, bytearray]) -> Tensor:
    import torch  # noqa: PLC0415 - as above

    storage, kind = value.storage, _dense_real(name, value.dtype)
    if id(storage) not in loaded:
        loaded[id(storage)] = _bytes_of(name, storage)
    raw = loaded[id(storage)]
    last = value.offset + sum((size - 1) * step for size, step in zip(value.size, value.stride, strict=True))
    if value.numel == 0:
        return torch.empty(value.size, dtype=getattr(torch, kind))
    if (last + 1) * ITEM_BYTES[kind] > len(raw):
        raise refuse(f"{shown(name)}: it lies beyond the end of its storage", COPY_AGAIN)
    flat = torch.frombuffer(raw, dtype=getattr(torch, kind))
    return flat.as_strided(value.size, value.stride, value.offset).clone(memory_format=torch.contiguous_format)


def _bytes_of(name: str, storage: Storage) -> bytearray:
    """Return a storage's bytes, after holding their number against what its tensors say."""
    raw = b"" if storage.load is None else storage.load()
    if len(raw) != storage.count * ITEM_BYTES.get(storage.dtype, 0):
        raise refuse(f"{shown(name)}: its storage of {storage.count} {storage.dtype} has {len(raw)} bytes", COPY_AGAIN)
    return bytearray(raw)


def _of_array(name: str, value: Array) -> Tensor:
    import torch  # noqa: PLC0415 - as above

    found = to_numpy(value)
    _dense_real(name, str(found.dtype))
    return torch.from_numpy(found.copy(order="C"))


def _dense_real(name: str, kind: str) -> str:
    if kind not in ITEM_BYTES or kind.startswith("complex"):
        raise refuse(f"{shown(name)}: expected a dense real tensor, got {shown(kind)}", RESAVE)
    return kind
