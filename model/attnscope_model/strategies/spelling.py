"""A strategy in a few words: its name, and the parameters that are not its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from attnscope_model.strategies import StrategyError, strategy


def spelled(name: str, parameters: Mapping[str, Any]) -> str:
    """Return a strategy with its changed parameters; all of them where its defaults are not known here.

    Examples
    --------
    >>> spelled("anchored", {"inner": {"name": "h2o", "recent": 0.25}})
    'anchored(inner=h2o(recent=0.25))'
    """
    defaults = _defaults(name)
    changed = {key: value for key, value in parameters.items() if key not in defaults or defaults[key] != value}
    if not changed:
        return name
    return f"{name}({', '.join(f'{key}={_value(value)}' for key, value in changed.items())})"


def _value(value: Any) -> str:  # noqa: ANN401 - anything JSON
    if isinstance(value, Mapping) and "name" in value:
        return spelled(str(value["name"]), {key: one for key, one in value.items() if key != "name"})
    return f"{value:g}" if isinstance(value, float) else str(value)


@lru_cache(maxsize=256)
def _defaults(name: str) -> Mapping[str, Any]:
    """Return a strategy's defaults; nothing of one that is not installed here."""
    try:
        return strategy(name).parameters
    except StrategyError:
        return {}
