"""A screen on this machine, without a service: needs the extra ``server``, whose function it finds by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from attnscope.errors import MissingPackageError
from attnscope.screens.results import ScreenResults

FUNCTION: Final = ("attnscope_server.screening", "screen")
"""Module and name of the function; the client imports nothing of the service, so it asks for it by name."""


def screen(policy: Any, histories: Any, arms: Any = None, **options: Any) -> ScreenResults:  # noqa: ANN401 - the service's types
    """Return how far a policy's decisions change under every rule and budget, on stored histories; needs no service.

    Parameters
    ----------
    policy
        A loaded policy, of `attnscope_model`.
    histories
        Rollouts of it uncompressed, an `attnscope_server.screening.Histories`.
    arms
        Ways to see less, each an `attnscope_model.compression.Compression`; None: every rule at several shares.
    options
        Of `attnscope_server.screening.screen`, which this calls: decisions, seed, temperature, most_rewards.

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
