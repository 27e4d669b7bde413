"""Checks the arrays in all signatures while tests run: pyproject.toml hands `checked` to jaxtyping's import hook."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from random import Random
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


def takes_arrays(function: Callable[..., Any]) -> bool:
    """Return whether an argument or the result of a function has a shape in its signature."""
    names = getattr(function, "__globals__", {})
    return any(holds_arrays(_evaluated(hint, names)) for hint in getattr(function, "__annotations__", {}).values())


def sparing(function: Any = None, **typechecker: Any) -> Any:
    """Decorate a function or dataclass as jaxtyping does, and return one without arrays as it is.

    Most functions have none: a wrapper would bind and check the arguments of each of their calls for nothing.
    """
    if function is None:
        return partial(sparing, **typechecker)
    of = function.__init__ if inspect.isclass(function) else function
    if inspect.isfunction(of) and not takes_arrays(of):
        return function
    return _JAXTYPED(function, **typechecker)


def _evaluated(hint: Any, names: dict[str, Any]) -> Any:
    """Return an annotation's value; None where it names what is not there yet, which the hook does not check."""
    try:
        return eval(hint, names) if isinstance(hint, str) else hint  # noqa: S307 - an annotation of our own source
    except (NameError, AttributeError, TypeError):
        return None


jaxtyping.jaxtyped = sparing  # the hook looks it up for each function
