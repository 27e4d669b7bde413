"""Tensors out of a torch file (a zip of ``data.pkl`` and raw storages) without torch and without unpickling.

The standard library only splits ``data.pkl`` into opcodes; the few that rebuild tensors in a dictionary, a list or a
tuple mean something here, any other opcode or name is refused. Nothing is imported or called.
"""

from __future__ import annotations

import math
import pickletools  # it splits a pickle into opcodes and executes none
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from jaxtyping import Shaped

from attnscope.foreign.refusals import WANTED_FILES, ForeignFileError

STORAGES: Final = {
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
"""Kinds of numbers, by torch's name."""

NAMES: Final = frozenset(
    {"torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter", "collections OrderedDict"}
    | {f"torch {name}" for name in STORAGES}
)
"""Names that a file of tensors may hold."""

MAX_PICKLE_BYTES: Final = 2**20
"""Bytes of ``data.pkl``, at most: it names tensors, and holds none."""

MAX_BYTES: Final = 16 * 2**30
"""Bytes of one array, at most."""


@dataclass(frozen=True)
class Name:
    """A permitted name."""

    name: str


@dataclass(frozen=True)
class Storage:
    """A raw storage of the file."""

    kind: str
    key: str


MARK: Final = object()
"""The mark at which a run of items begins on the stack."""


def read_tensors(archive: zipfile.ZipFile, name: str) -> dict[str, Shaped[np.ndarray, ...]]:
    """Return the named tensors of a torch file; a single one is called ``rows``.

    Raises
    ------
    ForeignFileError
        The file holds anything but tensors, by name or alone.
    """
    inside = next(entry for entry in archive.namelist() if entry.endswith("/data.pkl"))
    if archive.getinfo(inside).file_size > MAX_PICKLE_BYTES:
        raise ForeignFileError(f"{name}: its data.pkl is larger than a list of tensors needs; {WANTED_FILES}")
    top = _Machine(archive, inside.removesuffix("data.pkl"), name).run(archive.read(inside))
    if isinstance(top, np.ndarray):
        return {"rows": top}
    if isinstance(top, dict) and all(isinstance(key, str) for key in top):
        found = {key: value for key, value in top.items() if isinstance(value, np.ndarray)}
        if found:
            return found
    raise ForeignFileError(f"{name} holds no tensors by name; {WANTED_FILES}")


@dataclass(eq=False)
class _Machine:
    """The stack machine over the opcodes."""

    archive: zipfile.ZipFile
    root: str
    name: str
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, content: bytes) -> Any:  # noqa: ANN401 - tensors, names and plain containers
        """Interpret the opcodes; what is left at the end is the file's object."""
        try:
            for opcode, argument, _ in pickletools.genops(content):
                if opcode.name == "STOP":
                    break
                step = _STEPS.get(opcode.name)
                if step is None:
                    raise self.refuse(f"{opcode.name} is no opcode that a file of tensors needs")
                step(self, argument)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, ForeignFileError):
                raise
            raise self.refuse(f"its data.pkl is damaged ({error})") from error
        if len(self.stack) != 1:
            raise self.refuse("its data.pkl is damaged")
        return self.stack[0]

    def refuse(self, why: str) -> ForeignFileError:
        """Return the refusal, which says the files that are read."""
        return ForeignFileError(f"{self.name}: {why}; nothing was imported or called; {WANTED_FILES}")

    def run_of_items(self) -> list[Any]:
        """Take the items since the last mark."""
        index = max(index for index, item in enumerate(self.stack) if item is MARK)
        items = self.stack[index + 1 :]
        del self.stack[index:]
        return items

    def tuple_of(self, count: int) -> None:
        """Make the last items a tuple."""
        items = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        self.stack.append(items)

    def admit(self, name: str) -> None:
        """Push a permitted name."""
        if name not in NAMES:
            raise self.refuse(f"it names {name.replace(' ', '.')[:80]}, which no tensor needs")
        self.stack.append(Name(name))

    def persistent(self) -> None:
        """Push the storage that a tuple names."""
        match self.stack.pop():
            case ("storage", Name(name=kind), str(key), str(), int()) if kind.startswith("torch "):
                self.stack.append(Storage(kind.removeprefix("torch "), key))
            case _:
                raise self.refuse("a storage was expected")

    def call(self) -> None:
        """Rebuild a tensor, or make an empty dictionary."""
        arguments, function = self.stack.pop(), self.stack.pop()
        match function, arguments:
            case Name(name="collections OrderedDict"), ():
                self.stack.append({})
            case Name(name="torch._utils _rebuild_tensor_v2"), (Storage() as held, offset, shape, stride, *_):
                self.stack.append(self.tensor(held, offset, shape, stride))
            case Name(name="torch._utils _rebuild_parameter"), (np.ndarray() as value, *_):
                self.stack.append(value)
            case _:
                raise self.refuse("a tensor was expected")

    def tensor(self, held: Storage, offset: Any, shape: Any, stride: Any) -> Shaped[np.ndarray, ...]:  # noqa: ANN401
        """Return the tensor that lies in a storage; every value of it must be inside the storage."""
        kind = np.dtype(STORAGES[held.kind])
        whole = all(isinstance(size, int) and size >= 0 for size in (offset, *shape, *stride))
        if not whole or len(shape) != len(stride) or math.prod(shape) * kind.itemsize > MAX_BYTES:
            raise self.refuse(f"a tensor of shape {str(shape)[:80]}")
        entry = self.archive.getinfo(f"{self.root}data/{held.key}")
        last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        if entry.file_size > MAX_BYTES or (math.prod(shape) and (last + 1) * kind.itemsize > entry.file_size):
            raise self.refuse(f"a tensor of shape {str(shape)[:80]} in {entry.file_size} bytes")
        flat = np.frombuffer(self.archive.read(entry), kind)
        if self.big_endian:
            flat = flat.byteswap()
        view = np.lib.stride_tricks.as_strided(
            flat[offset:], shape, [step * kind.itemsize for step in stride], writeable=False
        )
        return (view.astype(np.uint32) << 16).view(np.float32) if held.kind == "BFloat16Storage" else view.copy()

    @property
    def big_endian(self) -> bool:
        """True where the numbers were written by a machine of the other byte order."""
        entry = f"{self.root}byteorder"
        return entry in self.archive.namelist() and self.archive.read(entry).strip() == b"big"

    def extend(self, items: list[Any]) -> None:
        """Put items into the list below them."""
        if not isinstance(self.stack[-1], list):
            raise self.refuse("items without a list")
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        """Put names and values into the dictionary below them."""
        if not isinstance(self.stack[-1], dict) or len(items) % 2:
            raise self.refuse("items without a dictionary")
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))


def _push(value: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.stack.append(value())


def _argument(machine: _Machine, argument: Any) -> None:  # noqa: ANN401 - a number or a text
    machine.stack.append(argument)


_STEPS: Final[dict[str, Callable[[_Machine, Any], None]]] = {
    "PROTO": lambda _machine, _: None,
    "FRAME": lambda _machine, _: None,
    "MARK": _push(lambda: MARK),
    "EMPTY_DICT": _push(dict),
    "EMPTY_LIST": _push(list),
    "EMPTY_TUPLE": _push(tuple),
    "NONE": _push(lambda: None),
    "NEWTRUE": _push(lambda: True),
    "NEWFALSE": _push(lambda: False),
    "BINUNICODE": _argument,
    "SHORT_BINUNICODE": _argument,
    "BININT": _argument,
    "BININT1": _argument,
    "BININT2": _argument,
    "LONG1": _argument,
    "BINFLOAT": _argument,
    "GLOBAL": lambda machine, name: machine.admit(name),
    "BINPERSID": lambda machine, _: machine.persistent(),
    "REDUCE": lambda machine, _: machine.call(),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.run_of_items())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.run_of_items()),
    "SETITEM": lambda machine, _: machine.set_items([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.run_of_items()),
    "BINPUT": lambda machine, key: machine.memo.__setitem__(key, machine.stack[-1]),
    "LONG_BINPUT": lambda machine, key: machine.memo.__setitem__(key, machine.stack[-1]),
    "BINGET": lambda machine, key: machine.stack.append(machine.memo[key]),
    "LONG_BINGET": lambda machine, key: machine.stack.append(machine.memo[key]),
}
"""The meaning of each permitted opcode."""
