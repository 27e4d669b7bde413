"""Read public functions from their source, and what their docstrings lack.

A docstring is complete where its Parameters section names every parameter, and its Raises section every error that the
function itself raises. It also says what it returns: by a Returns or Yields section, or by a first line that begins
with Return or Yield.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

HEADING = re.compile(r"^(?P<name>[A-Z]\w+)\n-{3,}$", re.MULTILINE)


def sections_of(docstring: str) -> dict[str, str]:
    """Return the numpy-style sections of a docstring; what stands before the first is under the empty name."""
    parts = HEADING.split(inspect.cleandoc(docstring))
    return {"": parts[0].strip()} | dict(zip(parts[1::2], parts[2::2], strict=True))


def entries_of(section: str) -> set[str]:
    """Return the names that a section explains: those at the left margin, several of one entry apart."""
    lines = [line for line in section.splitlines() if line and not line.startswith(" ")]
    return {name.strip(" *`") for line in lines for name in line.partition(":")[0].split(",")}


def lacks(function: Callable[..., Any]) -> list[str]:
    """Return what the docstring of a function or method lacks."""
    text = function.__doc__
    if not text:
        return ["docstring"]
    found = sections_of(text)
    signature = inspect.signature(function)
    named = entries_of(found.get("Parameters", "")) | entries_of(found.get("Attributes", ""))
    missing = [f"parameter {name}" for name in signature.parameters if name not in named | {"self", "cls"}]
    returns = signature.return_annotation not in (None, "None", inspect.Signature.empty)
    if returns and not found.keys() & {"Returns", "Yields"} and not re.match(r"(Return|Yield)\b", found[""]):
        missing.append("Returns")
    told = " ".join(entries_of(found.get("Raises", "")))
    missing += [f"Raises {name}" for name in sorted(set(_raised(function))) if name not in told]
    return missing


def _raised(function: Callable[..., Any]) -> Iterator[str]:
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = node.exc.func
            yield name.id if isinstance(name, ast.Name) else ast.unparse(name)
