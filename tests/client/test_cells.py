"""Everything that the public functions lead to is shown in a notebook's cell, found by what they say they return."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
from enum import Enum
from importlib import import_module

import numpy as np
import pytest

import attnscope
from attnscope.fetching.compressions import Compressions

SHOWN = ("_repr_html_", "_repr_png_", "_repr_mimebundle_")


def names_of(module: str) -> dict[str, str]:
    """Return the names that a module imports from this package, for the type checkers alone too, by their modules."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {one.asname or one.name: str(node.module) for node in found for one in node.names}


def returned(function) -> set[type]:
    """Return the classes of the client that a function says it returns."""
    function = inspect.unwrap(function)
    imported = names_of(function.__module__)
    found = set()
    for name in set(re.findall(r"\w+", str(getattr(function, "__annotations__", {}).get("return", "")))):
        module = import_module(imported.get(name, function.__module__))
        one = getattr(module, name, None)
        if isinstance(one, type) and one.__module__.startswith("attnscope."):
            found.add(one)
    return found


def public_functions(kind: type):
    """Yield the functions behind a class's public methods and properties."""
    for name in dir(kind):
        one = inspect.getattr_static(kind, name)
        behind = getattr(one, "fget", None) or getattr(one, "func", None) or getattr(one, "__func__", one)
        if not name.startswith("_") and inspect.isfunction(behind) and behind.__module__.startswith("attnscope."):
            yield behind


def every_end() -> set[type]:
    """Return every class of the client that the public functions lead to."""
    public = [getattr(attnscope, name) for name in attnscope.__all__]
    due = {one for one in public if isinstance(one, type)}
    for one in public:
        due |= returned(one) if inspect.isfunction(one) else set()
    found: set[type] = set()
    while due:
        kind = due.pop()
        found.add(kind)
        for function in public_functions(kind):
            due |= returned(function) - found
    return {kind for kind in found if not any(kind in other.__mro__[1:] for other in found)}


def holds_arrays(kind: type) -> bool:
    """Return whether a class is more than a value that its own text shows: arrays are compared by identity."""
    return not (dataclasses.is_dataclass(kind) and kind.__dataclass_params__.eq) and not issubclass(kind, Enum)


@pytest.mark.parametrize(
    "kind", sorted(every_end(), key=lambda one: one.__qualname__), ids=lambda one: one.__qualname__
)
def test_every_end_of_a_cell_has_a_picture_or_a_table(kind):
    """A value shows its fields; whatever holds more has a table or a picture of its own."""
    assert not holds_arrays(kind) or any(hasattr(kind, name) for name in SHOWN)


def test_the_ends_are_found():
    """The walk reaches jobs, every kind of store, results and arrays; it can fail."""
    names = {one.__qualname__ for one in every_end()}
    assert {"JobHandle", "Capture", "Trial", "Screen", "Decision", "ArrayGroup", "LazyArray", "ScreenResults"} <= names
    assert holds_arrays(type("Bare", (), {}))


def test_the_cell_of_compressions_tells_what_each_packed():
    """A row each: older latents from the second on, and the transitions that joined since."""
    latents = np.zeros((2, 4, 8), np.float32)
    told = Compressions(np.array([9, 19]), np.array([30, 34]), latents, None, 3)._repr_html_()
    assert 'after step 9</th><td style="text-align:left">transitions 0 to 9 became 4 latents' in told
    assert "4 older latents and transitions 10 to 19 became 4 latents" in told
