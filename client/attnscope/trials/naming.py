"""Short names of conditions: a strategy with the parameters that are not its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from attnscope_model.strategies import StrategyError, strategy
from attnscope_storage.wire import Condition

LONGEST: Final = 40
"""Characters of a name."""


def label_of(condition: Condition) -> str:
    """Return a strategy's name with what differs from its defaults, e.g. ``anchored(inner=h2o(recent=0.25))``."""
    text = _spelled(condition.strategy, condition.parameters)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def name_of(condition: Condition) -> str:
    """Return a condition in a few words, such as ``recency 40%``; of transitions the number alone."""
    if condition.index == 0:
        return "uncompressed"
    if condition.budget is None:
        return label_of(condition)
    share = isinstance(condition.budget, float)
    return f"{label_of(condition)} {condition.budget:.0%}" if share else f"{label_of(condition)} {condition.budget}"


def _spelled(name: str, parameters: Mapping[str, Any]) -> str:
    """Return a strategy with its changed parameters; all of them where its defaults are not known here."""
    defaults = _defaults(name)
    changed = {key: value for key, value in parameters.items() if key not in defaults or defaults[key] != value}
    if not changed:
        return name
    return f"{name}({', '.join(f'{key}={_value(value)}' for key, value in changed.items())})"


def _value(value: Any) -> str:  # noqa: ANN401 - anything JSON
    if isinstance(value, Mapping) and "name" in value:
        return _spelled(str(value["name"]), {key: one for key, one in value.items() if key != "name"})
    return f"{value:g}" if isinstance(value, float) else str(value)


@lru_cache(maxsize=256)
def _defaults(name: str) -> Mapping[str, Any]:
    """Return a strategy's defaults; nothing of one that is not installed here."""
    try:
        return strategy(name).parameters
    except StrategyError:
        return {}
