"""Parameters of strategies: what they may be, checked wherever they come from, and said in lists.

They arrive over the wire, so a wrong one ends in a sentence that names the range, never in an exception of arithmetic.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
from dataclasses import MISSING, dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from attnscope_model.strategies.errors import ParameterError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Edge = int | float
Kind = Literal["integer", "number", "boolean", "string", "strategy"]

LARGEST: Final = 2**31 - 1
"""Of a whole number where nothing smaller is said: it fits every array's integers."""

_BOUNDS: Final = "attnscope.bounds"


@dataclass(frozen=True)
class Bounds:
    """The meaning of a parameter, and its range."""

    meaning: str
    low: Edge | None = None
    high: Edge | None = None
    above: bool = False
    """True where `low` itself is refused."""
    odd: bool = False
    """True where even numbers are refused."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a strategy."""

    name: str
    kind: Kind
    default: Any
    bounds: Bounds

    @property
    def range(self) -> str:
        """Return what it may be, in words."""
        low, high = self.bounds.low, self.bounds.high
        what = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "a text"}
        text = what.get(self.kind, 'a strategy, {"name": …}')
        if self.bounds.odd:
            text = text.replace("a whole", "an odd whole")
        if low is not None:
            text += f" above {low:,g}" if self.bounds.above else f" of at least {low:,g}"
        if high is not None:
            text += f"{' and' if low is not None else ''} at most {high:,g}"
        return text


def parameter(
    default: object,
    meaning: str,
    *,
    low: Edge | None = None,
    high: Edge | None = None,
    above: bool = False,
    odd: bool = False,
) -> Any:  # noqa: ANN401 - a dataclass field, whatever the parameter's type
    """Return a dataclass field that is checked and described; a callable default is called for each strategy.

    Parameters
    ----------
    default
        Value where nothing is said.
    meaning
        One phrase for lists and help.
    low
        Smallest value; None is no bound.
    high
        Largest value; None is no bound.
    above
        The value is larger than this; None is no bound.
    odd
        The value is an odd number.
    """
    kept = {_BOUNDS: Bounds(meaning, low, high, above, odd)}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=kept)
    return dataclasses.field(default=default, metadata=kept)


def parameters_of(kind: type[DataclassInstance]) -> tuple[Parameter, ...]:
    """Return a strategy's parameters in their order.

    Raises
    ------
    ParameterError
        One has no default, or one that is no number, text, truth value or strategy; or is called ``name``.
    """
    found = []
    for field in dataclasses.fields(kind):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        what = _kind(default)
        if what is None or field.name == "name":
            shown = "no default" if default is MISSING else reprlib.repr(default)
            raise ParameterError(
                f"{kind.__name__}.{field.name}: expected a parameter not called 'name', whose default is a number, a "
                f"text, a truth value or a strategy, got {shown}"
            )
        found.append(Parameter(field.name, what, default, field.metadata.get(_BOUNDS, Bounds(""))))
    return tuple(found)


def checked(owner: str, parameter: Parameter, value: object) -> object:
    """Return the value as the parameter's type has it.

    Raises
    ------
    ParameterError
        It is of another type, or out of range.
    """
    fitting = _as_kind(parameter.kind, value)
    if fitting is None or not _within(parameter, fitting):
        raise ParameterError(f"{parameter.name} of {owner} is {parameter.range}, got {reprlib.repr(value)}")
    return fitting


def _kind(default: object) -> Kind | None:
    if isinstance(default, bool):
        return "boolean"
    if isinstance(default, int):
        return "integer"
    if isinstance(default, float):
        return "number"
    if isinstance(default, str):
        return "string"
    return "strategy" if hasattr(default, "plan") else None


def _as_kind(kind: Kind, value: object) -> object:
    """Return the value in plain Python; None where it is of another kind."""
    truth = isinstance(value, bool | np.bool_)
    if kind == "boolean":
        return bool(value) if truth else None
    if kind == "integer":
        return int(value) if isinstance(value, Integral) and not truth else None
    if kind == "number":
        return _as_number(value) if isinstance(value, Real) and not truth else None
    if kind == "string":
        return value if isinstance(value, str) else None
    return value if hasattr(value, "plan") else None


def _as_number(value: Real) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _within(parameter: Parameter, value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return True
    bounds = parameter.bounds
    high = bounds.high if bounds.high is not None else (LARGEST if parameter.kind == "integer" else math.inf)
    low = bounds.low if bounds.low is not None else (-LARGEST if parameter.kind == "integer" else -math.inf)
    return low <= value <= high and not (bounds.above and value == low) and not (bounds.odd and value % 2 == 0)
