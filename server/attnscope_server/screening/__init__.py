"""Screening: how a policy's decisions change on stored histories when it sees less of them; no environment is stepped.

`screen` is the public function. Trials, which act, live in `attnscope_server.trials`. The three names load torch when
they are first used, because the service process imports this room for its kind of job.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from attnscope_server.screening.histories import Histories
    from attnscope_server.screening.judging import Screened, screen

__all__ = ["Histories", "Screened", "screen"]

_MODULES: Final = ("histories", "judging")
"""The modules of this room that hold public names."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class or a function
    """Load a public name from its module.

    Raises
    ------
    AttributeError
        There is no such name.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes = (import_module(f"{__name__}.{module}") for module in _MODULES)
    return next(getattr(home, name) for home in homes if hasattr(home, name))
