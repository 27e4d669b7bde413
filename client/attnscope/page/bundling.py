"""One script made of the page's modules, for places without a server: a file that was mailed, a notebook's cell.

A browser loads modules of a file from nowhere, and a policy that names one script by its hash allows no further one.
So each module becomes a function of its own that returns what the module exports; names of modules never meet.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from attnscope.page.modules import IMPORT, NoBundleError, module_text, resolved, with_imports

_EXPORT: Final = re.compile(r"^export (?P<kind>async function|function|class|const) (?P<name>\w+)", re.MULTILINE)
_WORD: Final = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
_CLOSING: Final = re.compile(r"</script|<!--", re.IGNORECASE)


@cache
def bundled(entry: str, *, exports: tuple[str, ...] = ()) -> str:
    """Return a module and all that it imports as one strict script.

    Parameters
    ----------
    entry
        Path of the module among the page's files, such as ``report.js``.
    exports
        Names of the entry; where there are any, the script is a module whose default export holds them.

    Raises
    ------
    NoBundleError
        A module imports or exports in another form than by names, or modules import each other in a circle.
    """
    order = with_imports(entry)
    place = {path: f"m{number}" for number, path in enumerate(order)}
    parts = [_wrapped(path, place) for path in order]
    made = [f"const {name} = {place[entry]}.{name};" for name in exports]
    last = [*made, f"export default {{ {', '.join(exports)} }};"] if exports else []
    script = "\n".join(['"use strict";', *parts, *last]) + "\n"
    if _CLOSING.search(script):
        raise NoBundleError(f"{entry}: a module holds a text that would end its script element")
    return script if exports else f"(() => {{\n{script}}})();\n"


def _wrapped(path: str, place: dict[str, str]) -> str:
    """Return a module as a function that was called, its exports an object."""

    def taken(found: re.Match[str]) -> str:
        names = ", ".join(
            re.sub(r"\s+as\s+", ": ", one.strip()) for one in (found["names"] or "").split(",") if one.strip()
        )
        return f"const {{ {names} }} = {place[resolved(path, found['path'])]};\n" if names else ""

    text = IMPORT.sub(taken, module_text(path))
    exported = [found["name"] for found in _EXPORT.finditer(text)]
    text = _EXPORT.sub(lambda found: f"{found['kind']} {found['name']}", text)
    if other := _WORD.search(text):
        raise NoBundleError(f"{path}: {other[0]!r} is no import or export by name")
    return f"const {place[path]} = (() => {{\n{text}return {{ {', '.join(exported)} }};\n}})();"
