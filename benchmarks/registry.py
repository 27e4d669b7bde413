"""The list of suites: the files of `benchmarks/suites/`."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from benchmarks import suites


def names() -> list[str]:
    """Return the names of every suite."""
    return sorted(module.name for module in pkgutil.iter_modules(suites.__path__))


def suite(name: str) -> ModuleType:
    """Return a suite; SystemExit names those there are where it is none."""
    if name not in names():
        raise SystemExit(f"no suite {name!r}; there are {', '.join(names())}")
    return importlib.import_module(f"benchmarks.suites.{name}")


def title(module: ModuleType) -> str:
    """Return the first line of a suite's docstring."""
    return (module.__doc__ or "").strip().splitlines()[0]
