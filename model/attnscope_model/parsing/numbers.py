"""NumPy dtypes, arrays and scalars out of what pickles say of them: rebuilt from bytes, never by their own methods."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import numpy as np

from attnscope_model.parsing.remedies import refuse
from attnscope_model.parsing.values import Array, DType, Name, StandIn

_CODES: Final = re.compile(r"b1|[iu][1248]|f[248]|c(?:8|16)")
"""Kinds of numbers that are read: Booleans, whole, real and complex ones."""

_ORDERS: Final = ("<", ">", "=", "|")

MAX_DIMENSIONS: Final = 32


def dtype(arguments: tuple[Any, ...]) -> DType:
    """Return the dtype that ``numpy.dtype`` is called for; one of another kind is remembered as not read."""
    match arguments:
        case (str(code), *_) if _CODES.fullmatch(code):
            return DType(code)
        case _:
            return DType(None)


def order_dtype(target: DType, state: object) -> None:
    """Take the byte order of a dtype; a structured one is not read."""
    match state:
        case (_, str(order), None, None, None, *_) if order in _ORDERS:
            target.order = order
        case _:
            target.code = None


def fill_array(target: Array, state: object) -> None:
    """Take shape, dtype and bytes of an array, once.

    Raises
    ------
    CheckpointUnreadableError
        The bytes are not those of such a shape, or it has a state already.
    """
    if target.built:
        raise refuse("a NumPy array is given its contents twice")
    target.built = True
    match state:
        case (_, tuple() as shape, DType() as kind, fortran, bytes() as data) if kind.code is not None:
            made = array(shape, kind, data, fortran=fortran is True)
            target.code, target.order, target.shape = made.code, made.order, made.shape
            target.data, target.fortran = made.data, made.fortran
        case _:
            target.data = None  # objects, texts and dates: nothing that weights are made of


def array(shape: tuple[Any, ...], kind: DType, data: bytes, *, fortran: bool) -> Array:
    """Return an array after checking that its bytes are those of its shape.

    Raises
    ------
    CheckpointUnreadableError
        They are not.
    """
    if len(shape) > MAX_DIMENSIONS or not all(type(size) is int and 0 <= size < 2**63 for size in shape):
        raise refuse("a NumPy array of a shape that is none")
    code = kind.code or ""
    if math.prod(shape) * _item_bytes(code) != len(data):
        raise refuse(f"a NumPy array of shape {list(shape)[:8]} and dtype {code} in {len(data)} bytes")
    return Array(code, kind.order, shape, data, fortran, built=True)


def scalar(arguments: tuple[Any, ...]) -> bool | int | float | StandIn:
    """Return the plain value of a NumPy scalar; a stand-in for a kind that is not read.

    Raises
    ------
    CheckpointUnreadableError
        Its bytes are not those of one value.
    """
    match arguments:
        case (DType(code=str(code)) as kind, bytes() as data):
            found = to_numpy(array((), kind, data, fortran=False)).item()
            return found if isinstance(found, bool | int | float) else StandIn(f"numpy scalar {code}")
        case _:
            return StandIn("numpy scalar")


def from_buffer(arguments: tuple[Any, ...]) -> Array | StandIn:
    """Return the array of a call in protocol 5."""
    match arguments:
        case (bytes() as data, DType(code=str()) as kind, tuple() as shape, str(order)):
            return array(shape, kind, data, fortran=order == "F")
        case _:
            return StandIn("numpy array")


def blank(arguments: tuple[Any, ...]) -> Array | StandIn:
    """Return the empty array that a state will fill; a subclass of NumPy's array is not read."""
    match arguments:
        case (Name(module="numpy", name="ndarray"), *_):
            return Array()
        case _:
            return StandIn("numpy array")


def to_numpy(value: Array) -> np.ndarray[Any, np.dtype[Any]]:
    """Return the array itself, in the machine's own byte order.

    Raises
    ------
    CheckpointUnreadableError
        It is of a kind that is not read, or its contents never came.
    """
    if value.data is None or value.code is None:
        raise refuse("a NumPy array of objects or texts, where numbers were expected")
    order = value.order if value.order in "<>" else "="
    kind = np.dtype(f"{order}{value.code}" if value.code != "b1" else "?")
    flat = np.frombuffer(value.data, kind).astype(kind.newbyteorder("="))
    return flat.reshape(value.shape, order="F" if value.fortran else "C")


def _item_bytes(code: str) -> int:
    return int(code[1:])
