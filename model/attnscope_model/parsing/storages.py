"""The dtype of a torch storage by the name of its class, and the bytes of one number of each dtype."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attnscope_model.parsing.remedies import refuse
from attnscope_model.parsing.values import Name

ITEM_BYTES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "float64": 8,
        "float32": 4,
        "float16": 2,
        "bfloat16": 2,
        "int64": 8,
        "int32": 4,
        "int16": 2,
        "int8": 1,
        "uint8": 1,
        "uint16": 2,
        "uint32": 4,
        "uint64": 8,
        "bool": 1,
        "complex64": 8,
        "complex128": 16,
    }
)
"""Bytes of one number, by torch dtype."""

_STORAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "FloatStorage": "float32",
        "DoubleStorage": "float64",
        "HalfStorage": "float16",
        "BFloat16Storage": "bfloat16",
        "LongStorage": "int64",
        "IntStorage": "int32",
        "ShortStorage": "int16",
        "CharStorage": "int8",
        "ByteStorage": "uint8",
        "BoolStorage": "bool",
        "ComplexFloatStorage": "complex64",
        "ComplexDoubleStorage": "complex128",
        "UntypedStorage": "uint8",
    }
)
"""Dtype by class of storage."""


def storage_dtype(name: object) -> str:
    """Return the dtype, like ``float32``, that a storage's class or a torch dtype names; its own name where unknown."""
    if not isinstance(name, Name):
        raise refuse("a storage without a type")
    return _STORAGES.get(name.name, name.name)
