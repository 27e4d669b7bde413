"""Strategies that installed packages add through the entry point group ``attnscope.strategies``.

A package is installed beside whatever applies the strategy, the service or the laptop; code never travels.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib.metadata import entry_points
from typing import Final

from attnscope_model.strategies.base import Strategy
from attnscope_model.strategies.errors import StrategyPackageError

GROUP: Final = "attnscope.strategies"
"""Entry point group: each names a subclass of `Strategy`."""


def installed_strategies(taken: Collection[str]) -> dict[str, tuple[type[Strategy], str]]:
    """Return the strategies of installed packages by name, each with its distribution.

    Parameters
    ----------
    taken
        Names that are not free.

    Raises
    ------
    StrategyPackageError
        A package does not load, names no strategy, one that cannot be made of its defaults, or a name that is taken.
    """
    found: dict[str, tuple[type[Strategy], str]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        what = f"the installed strategy {point.name} ({point.value})"
        try:
            kind = point.load()
        except Exception as error:  # a foreign package may raise anything
            raise StrategyPackageError(f"{what} does not load: {error}") from error
        if not (isinstance(kind, type) and issubclass(kind, Strategy)):
            raise StrategyPackageError(f"{what} is no subclass of Strategy")
        try:
            name = kind().name
        except Exception as error:
            raise StrategyPackageError(f"{what} cannot be made of its defaults: {error}") from error
        if name in {*taken, *found}:
            raise StrategyPackageError(f"{what} is called {name}, which is taken")
        found[name] = (kind, point.dist.name if point.dist is not None else point.name)
    return found


@cache
def installed_once(taken: frozenset[str]) -> dict[str, tuple[type[Strategy], str]]:
    """Return `installed_strategies`, looked for once in a process."""
    return installed_strategies(taken)
