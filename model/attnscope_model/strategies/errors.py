"""Errors of strategies.

::

    AttnscopeError
    └── StrategyError (ValueError)
        ├── UnknownStrategyError (LookupError)    no strategy or parameter of that name
        ├── ParameterError                        a parameter is of another type or out of range
        ├── StrategyPackageError                  an installed package's strategy cannot be used
        └── ViewIncompleteError                   the view lacks what the rule looks at
"""

from __future__ import annotations

from attnscope_storage.errors import AttnscopeError


class StrategyError(AttnscopeError, ValueError):
    """The strategy cannot be used like this."""


class UnknownStrategyError(StrategyError, LookupError):
    """No strategy or parameter has this name."""


class ViewIncompleteError(StrategyError):
    """The view of the context lacks what the rule looks at."""


class ParameterError(StrategyError):
    """A parameter is not what the strategy takes."""


class StrategyPackageError(StrategyError):
    """A strategy of an installed package cannot be used."""
