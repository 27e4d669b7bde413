"""Every strategy by name, and making one of what came over the wire."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from attnscope_model.strategies import rules
from attnscope_model.strategies.base import Strategy
from attnscope_model.strategies.discovery import rules_of
from attnscope_model.strategies.errors import ParameterError, UnknownStrategyError
from attnscope_model.strategies.installed import installed_once
from attnscope_model.strategies.learned import Latents
from attnscope_model.strategies.parameters import checked, parameters_of

STRATEGIES: Final[Mapping[str, type[Strategy]]] = MappingProxyType(rules_of(rules))
"""The strategies of this distribution: every rule in a module of `rules`, in their declared order."""

LEARNED: Final[Mapping[str, type[Strategy]]] = MappingProxyType({Latents.name: Latents})
"""Rules that pack by a network that a checkpoint holds: trials try them, no list proposes them for any other policy."""

MAX_DEPTH: Final = 4
"""Strategies inside each other, the outermost among them."""


def strategies() -> dict[str, type[Strategy]]:
    """Return every strategy by name: those of this distribution, then those of installed packages.

    Raises
    ------
    StrategyPackageError
        An installed package's strategy cannot be used.
    """
    return dict(STRATEGIES) | {name: kind for name, (kind, _) in installed_once(frozenset(STRATEGIES)).items()}


def strategy(name: str, **parameters: Any) -> Strategy:  # noqa: ANN401 - whatever the strategy takes
    """Return a strategy by name; ``strategy(**spec)`` reads back what `Strategy.spec` gave.

    Parameters
    ----------
    name
        Name of the rule.
    **parameters
        Values of its parameters by name; those not given have their defaults.

    Raises
    ------
    UnknownStrategyError
        There is no such strategy or parameter.
    ParameterError
        A parameter is of another type or out of range.
    """
    return build(name, parameters)


def build(name: object, parameters: Mapping[str, object], depth: int = 1) -> Strategy:
    """Return a strategy by name and parameters, whatever they are: the way for what came over the wire.

    Parameters
    ----------
    name
        Name of the rule.
    parameters
        Values of its parameters by name; those not given have their defaults.
    depth
        How many strategies this one is inside of, itself among them.

    Raises
    ------
    UnknownStrategyError
        There is no such strategy or parameter.
    ParameterError
        A parameter is of another type or out of range, or strategies wrap each other more than `MAX_DEPTH` deep.
    """
    kind = STRATEGIES.get(name, LEARNED.get(name)) if isinstance(name, str) else None
    if kind is None:
        every = strategies()
        if not isinstance(name, str) or name not in every:
            raise UnknownStrategyError(f"there is no strategy {reprlib.repr(name)}; there are {', '.join(every)}")
        kind = every[name]
    if depth > MAX_DEPTH:
        raise ParameterError(f"strategies wrap each other {MAX_DEPTH} deep at most, {kind.name} is {depth} deep")
    known = {parameter.name: parameter for parameter in parameters_of(kind)}
    unknown = sorted(parameters.keys() - known.keys())
    if unknown:
        takes = ", ".join(sorted(known)) or "no parameters"
        raise UnknownStrategyError(f"{kind.name} takes {takes}, not {', '.join(map(reprlib.repr, unknown[:5]))}")
    values: dict[str, Any] = {}
    for key, value in parameters.items():
        made = _inner(value, depth) if isinstance(value, Mapping) else value
        values[key] = checked(kind.name, known[key], made)
    return kind(**values)


def _inner(spec: Mapping[str, object], depth: int) -> Strategy:
    """Return the wrapped strategy of a specification."""
    return build(spec.get("name"), {key: value for key, value in spec.items() if key != "name"}, depth + 1)
