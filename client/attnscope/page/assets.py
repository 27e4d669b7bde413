"""The files of the page and the headers of its answers: all that a browser gets without a session.

No file holds a word of a capture; a view is never a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from attnscope.page.modules import module_text, with_imports

MODULES: Final = with_imports("main.js")
"""The page's modules, files of this package: its entry and all that it imports."""

LATER: Final = ("panes/latents.js",)
"""Modules that are loaded where they are first needed; what they import is among `MODULES`."""

STYLES: Final = ("/page.css", "/answer.css")
"""The page's styles, by path."""

ASSETS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "/": ("page.html", "text/html; charset=utf-8"),
        **{path: (path[1:], "text/css; charset=utf-8") for path in STYLES},
        **{f"/{path}": (path, "text/javascript; charset=utf-8") for path in (*MODULES, *LATER)},
    }
)
"""Files by path, with their media types: all that is served without a session, and none holds a word of a capture."""

FIRST: Final = tuple(path for path in ASSETS if path[1:] not in LATER)
"""Files that a browser gets before the first view."""

PRELOADED: Final = "\n".join(f'<link rel="modulepreload" href="/{path}">' for path in MODULES)
"""Links of the document to every module."""

HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-store",
    }
)
"""Headers of every answer."""


@cache
def asset(path: str) -> bytes:
    """Return a file of the page, by its path; the document names every module, so that they load side by side."""
    name = ASSETS[path][0]
    if name.endswith(".js"):
        return module_text(name).encode()
    content = files("attnscope.page").joinpath("static", name).read_bytes()
    return content.replace(b"<!-- modules -->", PRELOADED.encode()) if path == "/" else content
