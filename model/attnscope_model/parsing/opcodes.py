"""The action of each pickle opcode on the machine; an opcode that is not here is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, BinaryIO, Final

from attnscope_model.parsing.machine import MAX_LINE, MAX_PROTOCOL, Machine, Rebuilding
from attnscope_model.parsing.values import Name


def _protocol(machine: Machine) -> None:
    if (version := machine.number("<B")) > MAX_PROTOCOL:
        raise machine.refuse(f"pickle protocol {version} is not known")


def _text(form: str) -> Callable[[Machine], None]:
    return lambda machine: machine.push(machine.take(machine.number(form)).decode("utf-8", "surrogatepass"))


def _bytes(form: str) -> Callable[[Machine], None]:
    return lambda machine: machine.push(machine.take(machine.number(form)))


def _old_text(form: str) -> Callable[[Machine], None]:
    def step(machine: Machine) -> None:
        count = machine.number(form)
        if count < 0:
            raise machine.refuse("a text of negative length")
        machine.push(machine.take(count).decode("latin-1"))

    return step


def _long(form: str) -> Callable[[Machine], None]:
    def step(machine: Machine) -> None:
        count = machine.number(form)
        if not 0 <= count <= MAX_LINE:
            raise machine.refuse(f"a whole number of {count} bytes")
        machine.push(int.from_bytes(machine.take(count), "little", signed=True))

    return step


def _int_line(machine: Machine) -> None:
    line = machine.line()
    constants = {"00": False, "01": True}
    machine.push(constants[line] if line in constants else _parsed(machine, line.removesuffix("L"), int))


def _parsed(machine: Machine, line: str, kind: Callable[[str], Any]) -> Any:  # noqa: ANN401 - by `kind`
    try:
        return kind(line)
    except ValueError:
        raise machine.refuse("a number that is none") from None


def _named_by_line(machine: Machine) -> None:
    module = machine.line()
    machine.named(module, machine.line())


def _named(machine: Machine) -> None:
    name = machine.pop()
    machine.named(machine.pop(), name)


def _instance(machine: Machine) -> None:
    module = machine.line()
    machine.new_from_mark(Name(module, machine.line()))


def _drop(machine: Machine) -> None:
    if not machine.stack:
        raise machine.refuse("nothing to drop")
    machine.stack.pop()


def _dictionary(machine: Machine) -> None:
    items = machine.to_mark()
    machine.make({})
    machine.set_items(items)


def _one_item(machine: Machine) -> None:
    value = machine.pop()
    machine.set_items([machine.pop(), value])


def _append(machine: Machine) -> None:
    machine.extend([machine.pop()])


STEPS: Final[Mapping[bytes, Callable[[Machine], None]]] = MappingProxyType(
    {
        b"\x80": _protocol,
        b"\x95": lambda machine: machine.number("<Q"),  # the length of a frame bounds nothing here
        b"(": Machine.mark,
        b"0": _drop,
        b"1": lambda machine: _ignore(machine.to_mark()),
        b"2": lambda machine: machine.push(machine.top()),
        b"N": lambda machine: machine.push(None),
        b"\x88": lambda machine: machine.push(value=True),
        b"\x89": lambda machine: machine.push(value=False),
        b"I": _int_line,
        b"L": _int_line,
        b"F": lambda machine: machine.push(_parsed(machine, machine.line(), float)),
        b"K": lambda machine: machine.push(machine.number("<B")),
        b"M": lambda machine: machine.push(machine.number("<H")),
        b"J": lambda machine: machine.push(machine.number("<i")),
        b"\x8a": _long("<B"),
        b"\x8b": _long("<i"),
        b"G": lambda machine: machine.push(machine.number(">d")),
        b"S": lambda machine: machine.push(machine.line()[1:-1]),
        b"V": lambda machine: machine.push(machine.text_line()),
        b"T": _old_text("<i"),
        b"U": _old_text("<B"),
        b"X": _text("<I"),
        b"\x8c": _text("<B"),
        b"\x8d": _text("<Q"),
        b"B": _bytes("<I"),
        b"C": _bytes("<B"),
        b"\x8e": _bytes("<Q"),
        b"\x96": _bytes("<Q"),
        b"]": lambda machine: machine.make([]),
        b"l": lambda machine: machine.make(machine.to_mark()),
        b"}": lambda machine: machine.make({}),
        b"d": _dictionary,
        b")": lambda machine: machine.push(()),
        b"t": lambda machine: machine.make(tuple(machine.to_mark())),
        b"\x85": lambda machine: machine.tuple_of(1),
        b"\x86": lambda machine: machine.tuple_of(2),
        b"\x87": lambda machine: machine.tuple_of(3),
        b"\x8f": lambda machine: machine.make([]),  # a set: its items matter to no checkpoint as a set
        b"\x90": lambda machine: machine.extend(machine.to_mark()),
        b"\x91": lambda machine: machine.make(machine.to_mark()),
        b"a": _append,
        b"e": lambda machine: machine.extend(machine.to_mark()),
        b"s": _one_item,
        b"u": lambda machine: machine.set_items(machine.to_mark()),
        b"\x94": lambda machine: machine.memoize(),
        b"q": lambda machine: machine.memoize(machine.number("<B")),
        b"r": lambda machine: machine.memoize(machine.number("<I")),
        b"p": lambda machine: machine.memoize(_parsed(machine, machine.line(), int)),
        b"h": lambda machine: machine.recall(machine.number("<B")),
        b"j": lambda machine: machine.recall(machine.number("<I")),
        b"g": lambda machine: machine.recall(_parsed(machine, machine.line(), int)),
        b"c": _named_by_line,
        b"\x93": _named,
        b"R": Machine.reduce,
        b"\x81": Machine.new_object,
        b"\x92": lambda machine: machine.new_object(keywords=True),
        b"i": _instance,
        b"o": Machine.new_from_mark,
        b"b": Machine.build,
        b"Q": Machine.persistent,
    }
)
"""By opcode. Extension codes, named persistent ids and buffers outside the pickle are left out on purpose."""


def _ignore(items: list[Any]) -> None:
    items.clear()


def interpret(stream: BinaryIO, end: int, rebuilding: Rebuilding) -> Any:  # noqa: ANN401 - whatever a pickle holds
    """Return the value of the pickle that begins where `stream` stands.

    Parameters
    ----------
    end
        Position behind the last byte that may be read.

    Raises
    ------
    CheckpointUnreadableError
        It is cut off, holds an opcode that no checkpoint needs, or goes beyond a bound.
    """
    return Machine(stream, end, rebuilding).run(STEPS)
