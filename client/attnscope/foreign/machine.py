"""The stack machine that rebuilds arrays from the opcodes of a pickled list of lists; it imports and calls nothing."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from attnscope.foreign.items import Array, Blob, DType, Items, Mark, Name
from attnscope.foreign.refusals import ForeignFileError

MODULES: Final = frozenset(
    {"numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric"}
)
NAMES: Final = frozenset({"ndarray", "dtype", "_reconstruct", "_frombuffer"})
"""The functions that rebuild an array, in NumPy 1 and 2 and in every protocol from 3 on."""

DTYPES: Final = frozenset({"f2", "f4", "f8"})
"""Kinds of weights."""

MAX_ARRAY_BYTES: Final = 2**30
"""Bytes of one array, at most."""

MAX_TEXT: Final = 64
"""Bytes of a name, at most."""

MAX_INNER: Final = 4096
"""Arrays of one inner list, at most."""

MAX_MEMO: Final = 4096
"""Names, dtypes and small tuples that the file may refer back to."""


class Machine:
    """The stack, the memo, and one method for each permitted opcode."""

    def __init__(self, file: BinaryIO, size: int, contents: bool) -> None:
        self._file, self._size, self._contents = file, size, contents
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._count = 0
        self._outer: Items | None = None
        self._inner: Items | None = None

    def run(self, steps: Mapping[bytes, Callable[[Machine], list[Array] | None]]) -> Iterator[list[Array]]:
        """Interpret the file by the action of each permitted opcode, and yield each finished inner list."""
        while (code := self._take(1)) != b".":
            step = steps.get(code)
            if step is None:
                raise self._refuse(f"opcode {code!r} is none of those that a list of arrays needs")
            done = step(self)
            if done is not None:
                yield done
        if len(self._stack) != 1 or self._stack[0] is not self._outer or self._outer is None:
            raise self._refuse("expected one list of lists")

    def _refuse(self, why: str) -> ForeignFileError:
        return ForeignFileError(f"{Path(str(self._file.name)).name} at byte {self._file.tell()}: {why}")

    def _take(self, count: int) -> bytes:
        got = self._file.read(count)
        if len(got) != count:
            raise self._refuse("the file ends in the middle")
        return got

    def _number(self, form: str) -> int:
        value: int = struct.unpack(form, self._take(struct.calcsize(form)))[0]
        return value

    def _pop(self, kind: type | tuple[type, ...]) -> Any:  # noqa: ANN401 - what the stack holds
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise self._refuse("an item of another kind was expected here")
        return self._stack.pop()

    def _run_of_items(self) -> list[Any]:
        for index in range(len(self._stack) - 1, -1, -1):
            if isinstance(self._stack[index], Mark):
                items = self._stack[index + 1 :]
                del self._stack[index:]
                return items
        raise self._refuse("a run of items has no beginning")

    # The actions of opcodes; each returns a finished inner list, or None.

    def protocol(self) -> None:
        """Accept protocols 3 to 5 alone."""
        version = self._number("<B")
        if not 3 <= version <= 5:  # noqa: PLR2004 - those that hold bytes as bytes
            raise self._refuse(f"expected pickle protocol 3, 4 or 5, got {version}")

    def frame(self) -> None:
        """Skip the length of a frame."""
        self._number("<Q")

    def new_list(self) -> None:
        """Begin the outer list, or one list inside of it."""
        if self._inner is not None and not self._inner.closed:
            raise self._refuse("lists nest deeper than steps and layers")
        made = Items()
        if self._outer is None and self._stack:
            raise self._refuse("expected a list at the top")
        self._push(made)
        if self._outer is None:
            self._outer = made
        else:
            self._inner = made

    def mark(self) -> None:
        """Mark the beginning of a run of items."""
        self._push(Mark())

    def append(self) -> list[Array] | None:
        """Add the last item to the list below it."""
        return self._extend([self._stack.pop()] if self._stack else [])

    def appends(self) -> list[Array] | None:
        """Add the items since the last mark to the list below it."""
        return self._extend(self._run_of_items())

    def _extend(self, items: list[Any]) -> list[Array] | None:
        if not self._stack or not isinstance(self._stack[-1], Items) or self._stack[-1].closed:
            raise self._refuse("items without a list to hold them, or a list that goes on after its end")
        target: Items = self._stack[-1]
        if target is self._outer:
            if not all(isinstance(item, Items) and item.closed for item in items):
                raise self._refuse("expected lists of arrays in the outer list")
            return None
        if not items or not all(isinstance(item, Array) and item.shape for item in items):
            raise self._refuse("expected arrays in the inner list")
        target.closed = True
        return items

    def text(self, form: str) -> None:
        """Push a short text."""
        length = self._number(form)
        if length > MAX_TEXT:
            raise self._refuse(f"a name of {length} bytes")
        try:
            self._push(self._take(length).decode("ascii"))
        except UnicodeDecodeError:
            raise self._refuse("a name that is no ASCII") from None

    def named(self) -> None:
        """Push a permitted name, whose parts are on the stack."""
        name, module = self._pop(str), self._pop(str)
        self._admit(module, name)

    def named_by_line(self) -> None:
        """Push a permitted name, whose parts are two lines of the file."""
        module, name = (self._file.readline(MAX_TEXT).decode("ascii", "replace").rstrip("\n") for _ in range(2))
        self._admit(module, name)

    def _admit(self, module: str, name: str) -> None:
        if module not in MODULES or name not in NAMES:
            raise self._refuse(f"it names {module}.{name}, which no array needs; nothing was imported or called")
        self._push(Name(name))

    def blob(self, form: str) -> None:
        """Push the bytes of an array, or skip them."""
        size = self._number(form)
        if size > MAX_ARRAY_BYTES or size > self._size - self._file.tell():
            raise self._refuse(f"an array of {size} bytes")
        if self._contents or size <= MAX_TEXT:
            self._push(Blob(size, self._take(size)))
        else:
            self._file.seek(size, 1)
            self._push(Blob(size, None))

    def constant(self, value: object) -> None:
        """Push a value that the opcode itself stands for."""
        self._push(value)

    def integer(self, form: str) -> None:
        """Push a whole number of fixed size."""
        self._push(self._number(form))

    def long(self) -> None:
        """Push a whole number of up to 8 bytes."""
        self._push(int.from_bytes(self._take(min(self._number("<B"), 9)), "little", signed=True))

    def tuple_of(self, count: int) -> None:
        """Push the last items as a tuple."""
        if len(self._stack) < count:
            raise self._refuse("a tuple of more items than there are")
        items = tuple(self._stack[len(self._stack) - count :])
        del self._stack[len(self._stack) - count :]
        self._push(items)

    def tuple_to_mark(self) -> None:
        """Push the items since the last mark as a tuple."""
        self._push(tuple(self._run_of_items()))

    def memoize(self, form: str | None) -> None:
        """Keep the last item, where it is small and plain."""
        key = self._count if form is None else self._number(form)
        self._count += 1
        last = self._stack[-1] if self._stack else None
        plain = (
            isinstance(last, str | Name | DType | int)
            or (isinstance(last, Blob) and last.size <= MAX_TEXT)
            or (isinstance(last, tuple) and all(isinstance(item, int | str) for item in last))
        )
        if plain and len(self._memo) < MAX_MEMO:
            self._memo[key] = last

    def recall(self, form: str) -> None:
        """Push an item that was kept."""
        key = self._number(form)
        if key not in self._memo:
            raise self._refuse("it refers back to something that is no name, dtype or shape")
        self._push(self._memo[key])

    def call(self) -> None:
        """Begin an array or a dtype, or rebuild an array."""
        arguments, name = self._pop(tuple), self._pop(Name)
        match name.name, arguments:
            case "_reconstruct", (Name(name="ndarray"), _, _):
                self._push(Array())
            case "dtype", (str(code), *_) if code in DTYPES:
                self._push(DType(code))
            case "_frombuffer", (Blob() as blob, DType() as dtype, tuple() as shape, str(order)):
                self._push(self._array(shape, dtype, blob, fortran=order == "F"))
            case _:
                raise self._refuse("an array of floats was expected; objects, integers and calls are not read")

    def build(self) -> None:
        """Finish an array or a dtype by its state."""
        state = self._pop(tuple)
        target = self._stack[-1] if self._stack else None
        match target, state:
            case DType(), (3, "<" | ">" | "=" | "|" as order, *_):
                target.order = order
            case Array(shape=()), (1, tuple() as shape, DType() as dtype, bool() as fortran, Blob() as blob):
                self._stack[-1] = self._array(shape, dtype, blob, fortran=fortran)
            case _:
                raise self._refuse("an array's state was expected")

    def _array(self, shape: tuple[Any, ...], dtype: DType, blob: Blob, *, fortran: bool) -> Array:
        if not shape or not all(isinstance(size, int) and 0 < size <= MAX_ARRAY_BYTES for size in shape):
            raise self._refuse(f"an array of shape {shape}")
        if math.prod(shape) * dtype.numpy.itemsize != blob.size:
            raise self._refuse(f"an array of shape {shape} in {blob.size} bytes")
        if blob.content is None:
            return Array(None, shape)
        flat = np.frombuffer(blob.content, dtype.numpy)
        return Array(flat.reshape(shape, order="F" if fortran else "C"), shape)

    def _push(self, item: object) -> None:
        if len(self._stack) > MAX_INNER * 4:
            raise self._refuse("more items in a list than a policy has layers")
        self._stack.append(item)
