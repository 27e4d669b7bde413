"""A screen on this machine, without a service: needs the extra ``server``, whose function it finds by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from attnscope.errors import MissingPackageError
from attnscope.screens.results import ScreenResults

FUNCTION: Final = ("attnscope_server.screening", "screen")
"""Module and name of the function; the client imports nothing of the service, so it asks for it by name."""


def screen_here(policy: Any, histories: Any, arms: Any = None, **options: Any) -> ScreenResults:  # noqa: ANN401 - the service's types
    """Return how a policy's decisions change under every arm; see `attnscope.screen`.

    Raises
    ------
    MissingPackageError
        The extra ``server`` is not installed.
    """
    module, name = FUNCTION
    try:
        found = getattr(import_module(module), name)(policy, histories, arms, **options)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "screening here needs torch and the extra server: pip install 'attnscope[server]'"
        ) from error
    bands = found.plan.ages.bands if found.plan.ages is not None else ()
    return ScreenResults(found.conditions, policy.description, found.task, found.arrays, found.notes, bands=bands)
