"""Finds the rules in the modules of a package, so that no list names them a second time."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

from attnscope_model.strategies.base import Strategy
from attnscope_model.strategies.errors import StrategyPackageError


def rules_of(package: ModuleType) -> dict[str, type[Strategy]]:
    """Return the rules that a package's modules define by name, in their declared order and then by name.

    Parameters
    ----------
    package
        A package whose modules hold subclasses of `Strategy`; abstract ones and imported ones are no rules of it.

    Raises
    ------
    StrategyPackageError
        A rule has no name, or two rules have one.
    """
    found: dict[str, type[Strategy]] = {}
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for kind in vars(importlib.import_module(module.name)).values():
            if not _is_rule(kind, module.name):
                continue
            name = vars(kind).get("name")
            if not isinstance(name, str):
                raise StrategyPackageError(f"{kind.__name__} in {module.name} has no name: ClassVar[str]")
            if name in found:
                raise StrategyPackageError(f"{kind.__name__} in {module.name} is called {name}, which is taken")
            found[name] = kind
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0])))


def _is_rule(kind: object, module: str) -> bool:
    """Return whether an attribute of a module is a concrete rule that the module defines."""
    return (
        inspect.isclass(kind)
        and issubclass(kind, Strategy)
        and kind.__module__ == module
        and not inspect.isabstract(kind)
    )
