"""The laptop's side of attnscope: connect to a service, submit captures, fetch slices, draw.

`import attnscope` loads neither zarr nor matplotlib, and never torch; each comes when it is used.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from attnscope.connecting.connection import find_connection
from attnscope.connecting.transport import Transport
from attnscope.service import Service
from attnscope_storage import __version__

if TYPE_CHECKING:
    from attnscope.foreign.arrays import import_arrays
    from attnscope.opening import open, open_decision, open_screen, open_trial  # noqa: A004 - as zarr and xarray
    from attnscope.recommendations.advice import recommend
    from attnscope.screens.here import screen

__all__ = [
    "Service",
    "__version__",
    "connect",
    "import_arrays",
    "open",
    "open_decision",
    "open_screen",
    "open_trial",
    "recommend",
    "screen",
]

LATER: Final = MappingProxyType(
    {
        "attnscope.foreign.arrays": ("import_arrays",),
        "attnscope.opening": ("open", "open_decision", "open_screen", "open_trial"),
        "attnscope.recommendations.advice": ("recommend",),
        "attnscope.screens.here": ("screen",),
    }
)
"""Modules that load zarr or strategies, with their functions; each is imported when a function is first used."""


def connect(url: str | None = None, api_key: str | None = None) -> Service:
    """Return the service at `url`, else the one that environment, configuration file or this machine name.

    Parameters
    ----------
    url
        E.g. ``http://127.0.0.1:8642``. None: ``ATTNSCOPE_URL``, then ``config.toml``, then a service on this machine.
    api_key
        None: ``ATTNSCOPE_API_KEY``, or the key that stands beside the address.

    Raises
    ------
    ConfigurationError
        No service is named anywhere, or a key would travel in the clear.

    Examples
    --------
    >>> with attnscope.connect(url, api_key) as service:
    ...     service.whoami().owner
    'operator'
    """
    return Service(Transport(find_connection(url, api_key)))


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type checkers read the imports above
    """Return a function whose module is loaded only now."""
    module = next((module for module, functions in LATER.items() if name in functions), None)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(module), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
