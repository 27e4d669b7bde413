"""Checks the arrays in all signatures while tests run: pyproject.toml hands `checked` to jaxtyping's import hook.

A full check takes about as long as many a small function. So a function is wrapped only where arrays stand in its
signature, its checker is compiled at its first call, and shapes and dtypes that once passed are not checked again.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Hashable
from functools import partial, update_wrapper
from random import Random
from threading import local
from types import FunctionType
from typing import Any, Final, get_args

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype._check.code import codemain
from jaxtyping import AbstractArray

codemain.getrandbits = Random(0).getrandbits  # type: ignore[attr-defined]  # noqa: S311 - no secret
"""Entries of lists are checked at random: not by the generator whose state tests of seeds compare."""

_CHECK: Final = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""A whole number stands where a real one is asked for, as in mypy."""

_JAXTYPED: Final = jaxtyping.jaxtyped
"""The decorator that the hook puts on every function and dataclass."""

_PENDING: Final = local()
"""The function that a checker calls between arguments and result, in its `call`."""

MOST_REMEMBERED = 512
"""Combinations of shapes that are remembered for a function; then it begins anew."""

MOST_ENTRIES = 16
"""Entries of a list or mapping up to which each is described; longer ones are checked at every call."""


def checked(function: Any) -> Any:
    """Return a function whose arrays, in arguments and result, are held to the shapes and dtypes of its signature.

    Other annotations are left to mypy: many tests hand over a wrong type on purpose, to see our own refusal of it. The
    hook also takes methods out of their class, where `Self` means nothing.
    """
    hints = function.__annotations__
    function.__annotations__ = {name: hint if holds_arrays(hint) else Any for name, hint in hints.items()}
    return _CHECK(function)


def holds_arrays(hint: Any) -> bool:
    """Return whether a shape stands anywhere in an annotation; one that was never evaluated is taken to hold one."""
    if isinstance(hint, str):
        return "[" in hint
    return (inspect.isclass(hint) and issubclass(hint, AbstractArray)) or any(map(holds_arrays, get_args(hint)))


def arrays_of(function: Callable[..., Any]) -> frozenset[str]:
    """Return the arguments of a function, and "return", that have a shape in its signature."""
    names = getattr(function, "__globals__", {})
    hints = getattr(function, "__annotations__", {})
    return frozenset(name for name, hint in hints.items() if holds_arrays(_evaluated(hint, names)))


def sparing(function: Any = None, **typechecker: Any) -> Any:
    """Decorate a function or dataclass as jaxtyping does, and return one without arrays as it is."""
    if function is None:
        return partial(sparing, **typechecker)
    if inspect.isclass(function):
        made = function.__init__
        if dataclasses.is_dataclass(function) and inspect.isfunction(made) and not hasattr(made, "remembers"):
            function.__init__ = sparing(made, **typechecker)
        return function
    if not inspect.isfunction(function):
        return _JAXTYPED(function, **typechecker)
    arrays = arrays_of(function)
    return remembering(function, arrays, **typechecker) if arrays else function


def remembering(function: FunctionType, arrays: frozenset[str], **typechecker: Any) -> Any:
    """Return a function whose arguments and result are checked unless the same shapes and dtypes passed before.

    Parameters
    ----------
    function
        Any function.
    arrays
        Its arguments, and "return", that have a shape in the signature.
    typechecker
        Given to jaxtyping with its first call.
    """
    memory = _Memory(function, arrays, typechecker)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        return memory.call(args, kwargs)

    wrapper.remembers = memory  # type: ignore[attr-defined]
    return update_wrapper(wrapper, function)


class _Memory:
    """The shapes and dtypes with which one function passed."""

    def __init__(self, function: FunctionType, arrays: frozenset[str], typechecker: dict[str, Any]) -> None:
        code = function.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        self._function, self._typechecker = function, typechecker
        self._checker: Callable[..., Any] | None = None
        self._passed: dict[Hashable, set[Hashable]] = {}
        """Of arguments that passed, the results that passed with them."""
        self._named = arrays & set(names)
        self._places = tuple(place for place, name in enumerate(names[: code.co_argcount]) if name in arrays)
        self._returns = "return" in arrays
        # A length may be named by the value of an argument, in braces; what *args and **kwargs hold has no place.
        braces = any("{" in str(function.__annotations__[name]) for name in arrays)
        self._vague = braces or bool(arrays - self._named - {"return"})

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function, and check where nothing like it passed before."""
        __tracebackhide__ = True
        key = None if self._vague else self._key(args, kwargs)
        if key is None:
            return self._check(self._function, args, kwargs)
        results = self._passed.get(key)
        result = self._check(self._function, args, kwargs) if results is None else self._function(*args, **kwargs)
        shown = described(result) if self._returns else ()
        if results is not None and (shown is None or shown not in results):
            self._check(lambda *_, **__: result, args, kwargs)
        if results is None:
            if len(self._passed) >= MOST_REMEMBERED:
                self._passed.clear()
            results = self._passed.setdefault(key, set())
        results.add(shown)
        return result

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable | None:
        """Return all that a check of the arguments depends on; None where that is not seen."""
        given = len(args)
        told: list[Hashable] = [described(args[place]) for place in self._places if place < given]
        for name, value in kwargs.items():
            if name in self._named:
                told += (name, described(value))
        return None if None in told else tuple(told)

    def _check(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Check the arguments, call, and check the result."""
        __tracebackhide__ = True
        if self._checker is None:
            self._checker = _JAXTYPED(_calling_pending(self._function), **self._typechecker)
        waiting = _PENDING.__dict__.setdefault("calls", [])
        depth = len(waiting)
        waiting.append(call)  # on a stack: to look at an argument may call another function that is checked
        try:
            return self._checker(*args, **kwargs)
        finally:
            del waiting[depth:]  # where the arguments are refused, it was never called


def described(value: Any) -> Hashable | None:
    """Return all that a check of a value depends on: type, shape and dtype of an array, the same of a list's entries.

    None stands for a value that holds others which are not seen, or more than `MOST_ENTRIES`.
    """
    kind = type(value)
    shape = getattr(value, "shape", None)
    if shape is not None:
        return kind, shape, getattr(value, "dtype", None)
    if not hasattr(kind, "__len__") or kind in {str, bytes}:
        return kind
    if isinstance(value, (tuple, list, dict)) and len(value) <= MOST_ENTRIES:
        entries = [*value, *value.values()] if isinstance(value, dict) else value
        told = tuple(map(described, entries))
        return None if None in told else (kind, told)
    return None


def _calling_pending(function: FunctionType) -> FunctionType:
    """Return a function with another's signature that calls what is pending."""
    pending = _PENDING

    def called(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        return pending.calls.pop()(*args, **kwargs)  # nothing that it holds outlives the call

    of = FunctionType(called.__code__, function.__globals__, function.__name__, None, called.__closure__)
    return update_wrapper(of, function)  # type: ignore[return-value]


def _evaluated(hint: Any, names: dict[str, Any]) -> Any:
    """Return an annotation's value; None where it cannot be had yet or at all: the hook does not check it then."""
    if not isinstance(hint, str):
        return hint
    if hint.isidentifier():
        return names.get(hint)
    try:
        return eval(hint, names)  # noqa: S307 - an annotation of our own source
    except (NameError, AttributeError, TypeError, ValueError):
        return None


jaxtyping.jaxtyped = sparing  # the hook looks it up for each function
