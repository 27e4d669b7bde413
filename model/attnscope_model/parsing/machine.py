"""A pickle, interpreted one opcode at a time: containers and plain values, and inert records of everything else.

Python's and torch's unpicklers are not used. Nothing is imported and nothing is called; which few names mean something,
and what, is `rebuilding`'s. Attributes and items that a file gives to a stand-in are dropped. The height of the stack,
the memo and the number of containers are bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final, Protocol

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing.remedies import COPY_AGAIN, refuse
from attnscope_model.parsing.values import Name, StandIn

MAX_STACK: Final = 200_000
"""Items on the stack and marks within it, at most; a pickler writes batches of 1,000."""

MAX_MEMO: Final = 2**20
"""Values that a file may refer back to."""

MAX_MADE: Final = 2**20
"""Containers and records that a file may make."""

MAX_LINE: Final = 1000
"""Bytes of a line in the oldest protocols, and of a whole number."""

MAX_PROTOCOL: Final = 5

_MARK: Final = object()
_KEYS: Final = (str, int, float, bytes, bool, type(None), StandIn, Name)


class Rebuilding(Protocol):
    """The meaning of a name that a file calls, and the values that a file may add to the result."""

    def called(self, name: Name, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - whatever a pickle holds
        """Return our own value for a call, or a stand-in."""
        ...

    def made(self, name: Name, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - as above
        """Return our own value for a new object of a class, or a stand-in."""
        ...

    def built(self, target: object, state: object) -> None:
        """Take a state for the few values that have one."""
        ...

    def stored(self, identity: object) -> Any:  # noqa: ANN401 - as above
        """Return what a persistent id stands for."""
        ...


class Machine:
    """The stack machine of one pickle."""

    def __init__(self, stream: BinaryIO, end: int, rebuilding: Rebuilding) -> None:
        self._stream, self._end, self._rebuilding = stream, end, rebuilding
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._made = 0

    def run(self, steps: Mapping[bytes, Callable[[Machine], None]]) -> Any:  # noqa: ANN401 - whatever a pickle holds
        """Interpret opcodes, each by its step, until the one that ends the pickle."""
        while (code := self.take(1)) != b".":
            step = steps.get(code)
            if step is None:
                raise self.refuse(f"the pickle opcode {code!r} is none that a checkpoint needs")
            step(self)
            if len(self.stack) > MAX_STACK:
                raise self.refuse(f"more than {MAX_STACK} values nest or stand in a row")
        return self.pop()

    def refuse(self, why: str) -> CheckpointUnreadableError:
        """Return a refusal that says where in the file it stands."""
        return refuse(f"at byte {self._stream.tell()}: {why}")

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        if count > self._end - self._stream.tell():
            raise refuse("the file ends in the middle of its pickle", COPY_AGAIN)
        return self._stream.read(count)

    def line(self) -> str:
        """Return the next line of the oldest protocols."""
        got = self._stream.readline(MAX_LINE)
        if not got.endswith(b"\n"):
            raise self.refuse("a line without an end")
        return got[:-1].decode("utf-8", "replace")

    def text_line(self) -> str:
        """Return the next line, of any length, as the oldest protocol writes a text."""
        got = self._stream.readline(self._end - self._stream.tell())
        if not got.endswith(b"\n"):
            raise self.refuse("a text without an end")
        return got[:-1].decode("raw-unicode-escape")

    def number(self, form: str) -> Any:  # noqa: ANN401 - a whole or a real number, by `form`
        """Return the next number."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def make(self, value: object) -> None:
        """Put a new container or record on the stack, and count it."""
        self._made += 1
        if self._made > MAX_MADE:
            raise self.refuse(f"it makes more than {MAX_MADE} objects")
        self.stack.append(value)

    def pop(self) -> Any:  # noqa: ANN401 - whatever a pickle holds
        """Return the topmost value."""
        if not self.stack or self.stack[-1] is _MARK:
            raise self.refuse("a value is missing")
        return self.stack.pop()

    def top(self) -> Any:  # noqa: ANN401 - whatever a pickle holds
        """Return the topmost value, which stays."""
        if not self.stack or self.stack[-1] is _MARK:
            raise self.refuse("a value is missing")
        return self.stack[-1]

    def pop_arguments(self) -> tuple[Any, ...]:
        """Return the topmost value, which must be a tuple."""
        value = self.pop()
        if not isinstance(value, tuple):
            raise self.refuse("arguments that are no tuple")
        return value

    def mark(self) -> None:
        """Begin a run of items."""
        self.stack.append(_MARK)

    def to_mark(self) -> list[Any]:
        """Return the items since the last mark."""
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                return items
        raise self.refuse("a run of items has no beginning")

    def tuple_of(self, count: int) -> None:
        """Make a tuple of the topmost items."""
        self.make(tuple(reversed([self.pop() for _ in range(count)])))

    def memoize(self, key: int | None = None) -> None:
        """Remember the topmost value under a number."""
        if len(self._memo) >= MAX_MEMO:
            raise self.refuse(f"it remembers more than {MAX_MEMO} values")
        self._memo[len(self._memo) if key is None else key] = self.top()

    def recall(self, key: int) -> None:
        """Put a remembered value on the stack."""
        if key not in self._memo:
            raise self.refuse("it refers back to a value that it never gave")
        self.push(self._memo[key])

    def extend(self, items: list[Any]) -> None:
        """Add items to the list below them; a stand-in takes none."""
        target = self.top()
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, StandIn):
            raise self.refuse(f"items for a {type(target).__name__}")

    def set_items(self, items: list[Any]) -> None:
        """Add names and values to the dictionary below them; a stand-in takes none."""
        target = self.top()
        if len(items) % 2:
            raise self.refuse("a name without a value")
        if isinstance(target, dict):
            target.update((self.key(name), value) for name, value in zip(items[::2], items[1::2], strict=True))
        elif not isinstance(target, StandIn):
            raise self.refuse(f"names and values for a {type(target).__name__}")

    def key(self, value: object) -> Any:  # noqa: ANN401 - whatever may be a dictionary's key
        """Return a dictionary's key, after checking that it is plain, or a flat tuple of plain values."""
        flat = isinstance(value, tuple) and all(isinstance(part, _KEYS) for part in value)
        if not flat and not isinstance(value, _KEYS):
            return StandIn(type(value).__name__)
        return value

    def named(self, module: object, name: object) -> None:
        """Put a name on the stack; it is not looked up."""
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > MAX_LINE:
            raise self.refuse("a global whose name is no short text")
        self.make(Name(module, name))

    def call(self, how: Callable[[Name, tuple[Any, ...]], Any], target: object, arguments: tuple[Any, ...]) -> None:
        """Put what a call or a new object stands for on the stack; nothing is called but our own reconstruction."""
        if isinstance(target, Name):
            self.make(how(target, arguments))
        elif isinstance(target, StandIn):
            self.make(StandIn(target.name))
        else:
            raise self.refuse(f"a call of a {type(target).__name__}")

    def reduce(self) -> None:
        """Record a call."""
        arguments = self.pop_arguments()
        self.call(self._rebuilding.called, self.pop(), arguments)

    def new_object(self, *, keywords: bool = False) -> None:
        """Record a new object of a class."""
        if keywords:
            self.pop()
        arguments = self.pop_arguments()
        self.call(self._rebuilding.made, self.pop(), arguments)

    def new_from_mark(self, target: object | None = None) -> None:
        """Record a new object in the way of the oldest protocols."""
        items = self.to_mark()
        if target is None:
            if not items:
                raise self.refuse("an object without a class")
            target = items.pop(0)
        self.call(self._rebuilding.made, target, tuple(items))

    def build(self) -> None:
        """Hand a state to what takes one; a stand-in takes none."""
        state = self.pop()
        self._rebuilding.built(self.top(), state)

    def persistent(self) -> None:
        """Put what a persistent id stands for on the stack."""
        self.make(self._rebuilding.stored(self.pop()))
