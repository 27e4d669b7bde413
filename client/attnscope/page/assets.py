"""The files of the page and the headers of its answers: all that a browser gets without a session.

No file holds a word of a capture; a view is never a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

MODULES: Final = tuple(
    f"{folder}{name}"
    for folder, names in (
        ("", "main mount steps shared view address session live source pane dom"),
        ("", "context frames transitions words taking"),
        ("drawing/", "axes colours paint picture scale svg"),
        ("answer/", "curves departures ladder"),
        ("panes/", "answer band focus heads influence jobs metrics overview pair place returns room rows"),
    )
    for name in names.split()
)
"""The page's modules, files of this package."""

STYLES: Final = ("/page.css", "/answer.css")
"""The page's styles, by path."""

ASSETS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "/": ("page.html", "text/html; charset=utf-8"),
        **{path: (path[1:], "text/css; charset=utf-8") for path in STYLES},
        **{f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in MODULES},
    }
)
"""Files by path, with their media types: all that is served without a session, and none holds a word of a capture."""

PRELOADED: Final = "\n".join(f'<link rel="modulepreload" href="/{name}.js">' for name in MODULES)
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


_COMMENT: Final = re.compile(r"^ *(?://|/\*\*|\*/|\* |\*$).*\n", re.MULTILINE)


@cache
def module_text(path: str) -> str:
    """Return a module of the page by its path among the page's files, without the comments, an eighth of it."""
    return _COMMENT.sub("", files("attnscope.page").joinpath("static", *path.split("/")).read_text("utf-8"))


@cache
def asset(path: str) -> bytes:
    """Return a file of the page, by its path; the document names every module, so that they load side by side."""
    name = ASSETS[path][0]
    if name.endswith(".js"):
        return module_text(name).encode()
    content = files("attnscope.page").joinpath("static", name).read_bytes()
    return content.replace(b"<!-- modules -->", PRELOADED.encode()) if path == "/" else content
