"""The page's modules, files of this package: their text as it is served, and which of them import each other."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from posixpath import dirname, join, normpath
from typing import Final

IMPORT: Final = re.compile(r'^import\s*(?:\{(?P<names>[^}]*)\}\s*from\s*)?"(?P<path>\.[^"]+)";[^\S\n]*\n', re.MULTILINE)
"""An import of names from a module of the page."""

_COMMENT: Final = re.compile(r"^ *(?://|/\*\*|\*/|\* |\*$).*\n", re.MULTILINE)

_INDENT: Final = re.compile("^ +", re.MULTILINE)


class NoBundleError(ValueError):
    """A module uses a form of import or export that no module of the page needs."""


@cache
def module_text(path: str) -> str:
    """Return a module of the page by its path among the page's files, without comments and indents, a sixth of it.

    No text of a module goes over several lines, so an indent is never a part of one.
    """
    text = files("attnscope.page").joinpath("static", *path.split("/")).read_text("utf-8")
    return _INDENT.sub("", _COMMENT.sub("", text))


def resolved(path: str, named: str) -> str:
    """Return the path of a module by its name in another one's import."""
    return normpath(join(dirname(path), named))


@cache
def with_imports(entry: str) -> tuple[str, ...]:
    """Return the paths of a module and of all that it imports, each behind those that it needs.

    Parameters
    ----------
    entry
        Path of the module among the page's files, such as ``report.js``.

    Raises
    ------
    NoBundleError
        Modules import each other in a circle.
    """
    order: list[str] = []
    _visit(entry, order, ())
    return tuple(order)


def _visit(path: str, order: list[str], above: tuple[str, ...]) -> None:
    """Append a module behind all that it imports."""
    if path in above:
        raise NoBundleError(f"{' → '.join([*above, path])}: modules import each other in a circle")
    if path in order:
        return
    for found in IMPORT.finditer(module_text(path)):
        _visit(resolved(path, found["path"]), order, (*above, path))
    order.append(path)
