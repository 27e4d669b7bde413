"""The view that a client has of a kind of job, and the list of all views.

A module of this room registers one view when it is imported. All of them are imported when the first is asked for. A
view holds import paths only, so that listing jobs loads neither zarr nor matplotlib.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Final

from attnscope_storage.errors import StoreKindError

ROOM: Final = "attnscope.kinds"
"""Package whose modules hold the views."""


@dataclass(frozen=True)
class View:
    """The functions of a client for the store of one kind of job."""

    kind: str
    """Name of the kind, the same as its contract's."""
    stored: str
    """Import path of the class that reads the store, a subclass of `Stored`."""
    opened_by: str
    """Function that opens a downloaded store, for people."""
    summary: str
    """Import path of the function that prints a summary; takes the store, and ``as_json`` by name."""
    report: str
    """Import path of the function that writes a report; takes the store, a folder and the options of the command."""
    page: str = ""
    """Import path of the function that opens a job on the page; takes the service and the job. Empty: no page."""


_registered: dict[str, View] = {}


def register(view: View) -> View:
    """Make a view known under the name of its kind, and return it.

    Raises
    ------
    ValueError
        Another view has the name.
    """
    if _registered.setdefault(view.kind, view) is not view:
        raise ValueError(f"there is a view of the kind {view.kind!r} already")
    return view


def forget(kind: str) -> None:
    """Take a view out of the list, as a test does with one of its own."""
    del _registered[kind]


def view_of(kind: str) -> View:
    """Return the view of a kind of job.

    Raises
    ------
    StoreKindError
        This client cannot read stores of that kind.
    """
    _load()
    found = _registered.get(kind)
    if found is None:
        raise StoreKindError(f"this attnscope reads no {kind}; it reads {', '.join(sorted(_registered))}: update it")
    return found


def page_of(kind: str) -> str:
    """Return the import path of the function that opens a job of a kind on the page; empty where it has no view."""
    _load()
    found = _registered.get(kind)
    return "" if found is None else found.page


@cache
def _load() -> None:
    for module in pkgutil.iter_modules(import_module(ROOM).__path__):
        import_module(f"{ROOM}.{module.name}")
