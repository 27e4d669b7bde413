"""The reference is complete: what users call and packages implement explains parameters, results and errors."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from documents.sections import lacks

MODULES = (
    "attnscope",
    "attnscope.comparison",
    "attnscope.foreign",
    "attnscope.measures",
    "attnscope.recommendations",
    "attnscope.report",
    "attnscope.study",
    "attnscope.trials",
    "attnscope_env",
    "attnscope_env.histories",
    "attnscope_model.compression",
    "attnscope_model.readers",
    "attnscope_model.strategies",
    "attnscope_server.screening",
)
"""Packages that name what they offer in ``__all__``; the wire's models explain each field where it is declared."""

CLASSES = (
    "attnscope.service:Service",
    "attnscope.job:JobHandle",
    "attnscope.capture:Capture",
    "attnscope.trials.trial:Trial",
    "attnscope.recommendations:Advice",
    "attnscope_model.readers.base:CheckpointReader",
    "attnscope_model.forward.policy:Policy",
    "attnscope_model.strategies:Strategy",
    "attnscope_model.strategies:Selection",
    "attnscope_model.strategies:Scored",
)
"""The classes of a user, and the protocols of entry points."""


def offered(module: str) -> Iterator[tuple[str, Any]]:
    """Yield the functions that a package offers."""
    package = importlib.import_module(module)
    for name in package.__all__:
        if inspect.isfunction(value := getattr(package, name)):
            yield name, value


def methods(path: str) -> Iterator[tuple[str, Any]]:
    """Yield the public methods of a class, inherited ones too."""
    module, _, name = path.partition(":")
    for kind in getattr(importlib.import_module(module), name).__mro__:
        if kind.__module__.startswith("attnscope"):
            for method, value in vars(kind).items():
                plain = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
                if inspect.isfunction(plain) and not method.startswith("_"):
                    yield f"{kind.__name__}.{method}", plain


@pytest.mark.parametrize("module", MODULES)
def test_functions_explain_themselves(module):
    """Every parameter, what is returned, and every error that the function raises."""
    assert {name: missing for name, value in offered(module) if (missing := lacks(value))} == {}


@pytest.mark.parametrize("path", CLASSES)
def test_methods_explain_themselves(path):
    """The same for methods of what users hold and packages implement."""
    found = list(methods(path))
    assert found or path.endswith(":Advice")
    assert {name: missing for name, value in found if (missing := lacks(value))} == {}


def test_the_check_can_fail():
    """A parameter, a result and an error that no section names are found; a complete docstring passes."""

    def bare(size: int) -> int:
        """Double a number."""
        if size < 0:
            raise ValueError("negative")
        return 2 * size

    def whole(size: int) -> int:
        """Return twice a number.

        Parameters
        ----------
        size
            Any number.

        Raises
        ------
        ValueError
            It is negative.
        """
        if size < 0:
            raise ValueError("negative")
        return 2 * size

    assert lacks(bare) == ["parameter size", "Returns", "Raises ValueError"]
    assert lacks(whole) == []
