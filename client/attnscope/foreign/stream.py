"""Arrays out of a pickled list of lists, one inner list at a time: it interprets the few opcodes of such a file.

Python's own unpickler is not used: nothing is imported, nothing is called, and what was read is not kept. Of the names
that a file may mention, exactly those that rebuild a NumPy array mean something here; any other opcode or name is
refused where it stands. Memory holds one inner list, and what the file says again and again (names and dtypes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from attnscope.foreign.items import Array
from attnscope.foreign.machine import Machine

STEPS: Final[Mapping[bytes, Callable[[Machine], list[Array] | None]]] = {
    b"\x80": Machine.protocol,
    b"\x95": Machine.frame,
    b"]": Machine.new_list,
    b"(": Machine.mark,
    b"a": Machine.append,
    b"e": Machine.appends,
    b"\x8c": lambda machine: machine.text("<B"),
    b"X": lambda machine: machine.text("<I"),
    b"\x93": Machine.named,
    b"c": Machine.named_by_line,
    b"C": lambda machine: machine.blob("<B"),
    b"B": lambda machine: machine.blob("<I"),
    b"\x8e": lambda machine: machine.blob("<Q"),
    b"\x96": lambda machine: machine.blob("<Q"),
    b"K": lambda machine: machine.integer("<B"),
    b"M": lambda machine: machine.integer("<H"),
    b"J": lambda machine: machine.integer("<i"),
    b"\x8a": Machine.long,
    b"N": lambda machine: machine.constant(value=None),
    b"\x88": lambda machine: machine.constant(value=True),
    b"\x89": lambda machine: machine.constant(value=False),
    b")": lambda machine: machine.constant(value=()),
    b"\x85": lambda machine: machine.tuple_of(1),
    b"\x86": lambda machine: machine.tuple_of(2),
    b"\x87": lambda machine: machine.tuple_of(3),
    b"t": Machine.tuple_to_mark,
    b"\x94": lambda machine: machine.memoize(None),
    b"q": lambda machine: machine.memoize("<B"),
    b"r": lambda machine: machine.memoize("<I"),
    b"h": lambda machine: machine.recall("<B"),
    b"j": lambda machine: machine.recall("<I"),
    b"R": Machine.call,
    b"b": Machine.build,
}
"""The action of each permitted opcode."""


def inner_lists(path: Path, *, contents: bool = True) -> Iterator[list[Array]]:
    """Yield the arrays of each inner list of a file, in order.

    Parameters
    ----------
    contents
        False reads shapes only and skips the weights.

    Raises
    ------
    ForeignFileError
        The file holds anything but a list of lists of arrays of floats, or is cut off.
    """
    with path.open("rb") as file:
        yield from Machine(file, path.stat().st_size, contents).run(STEPS)
