"""Every strategy by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from attnscope_model.strategies.anchored import Anchored
from attnscope_model.strategies.base import Strategy
from attnscope_model.strategies.decay import ExponentialDecay
from attnscope_model.strategies.dedup import Deduplication
from attnscope_model.strategies.episodes import EpisodeTruncation
from attnscope_model.strategies.errors import UnknownStrategyError
from attnscope_model.strategies.h2o import HeavyHitters
from attnscope_model.strategies.hierarchical import Hierarchical
from attnscope_model.strategies.merging import Merging
from attnscope_model.strategies.none import Everything
from attnscope_model.strategies.nucleus import Nucleus
from attnscope_model.strategies.pooled_window import PooledWindow
from attnscope_model.strategies.random import Random
from attnscope_model.strategies.recency import Recency
from attnscope_model.strategies.redundancy import Redundancy
from attnscope_model.strategies.relevant import QueryRelevant
from attnscope_model.strategies.rewards import RewardAnchored
from attnscope_model.strategies.sinks import SinksAndRecency
from attnscope_model.strategies.snapkv import RecentRows
from attnscope_model.strategies.threshold import Threshold
from attnscope_model.strategies.tova import LastRow
from attnscope_model.strategies.uniform import Uniform

STRATEGIES: Final[Mapping[str, type[Strategy]]] = {
    kind.name: kind
    for kind in (
        Everything,
        Recency,
        SinksAndRecency,
        Uniform,
        Random,
        ExponentialDecay,
        EpisodeTruncation,
        LastRow,
        HeavyHitters,
        RecentRows,
        Nucleus,
        Threshold,
        Redundancy,
        PooledWindow,
        Hierarchical,
        Merging,
        RewardAnchored,
        Deduplication,
        QueryRelevant,
        Anchored,
    )
}
"""The strategies of this distribution."""


@dataclass(frozen=True)
class StrategyDescription:
    """What a strategy is, for lists and the service."""

    name: str
    summary: str
    parameters: dict[str, Any]
    """Defaults by name."""
    needs: tuple[str, ...]
    """Fields of the view that it looks at."""
    pools: bool
    simplicity: int


def strategy(name: str, **parameters: Any) -> Strategy:  # noqa: ANN401 - whatever the strategy takes
    """Return a strategy by name; ``strategy(**spec)`` reads back what `Strategy.spec` gave.

    Raises
    ------
    UnknownStrategyError
        There is no such strategy or parameter.
    """
    if name not in STRATEGIES:
        raise UnknownStrategyError(f"there is no strategy {name!r}; there are {', '.join(STRATEGIES)}")
    known = {field.name for field in dataclasses.fields(STRATEGIES[name])}
    unknown = sorted(parameters.keys() - known)
    if unknown:
        takes = ", ".join(sorted(known)) or "no parameters"
        raise UnknownStrategyError(f"{name} takes {takes}, not {', '.join(unknown)}")
    values: dict[str, Any] = {
        key: strategy(**value) if isinstance(value, dict) else value for key, value in parameters.items()
    }
    return STRATEGIES[name](**values)


def describe(kind: type[Strategy]) -> StrategyDescription:
    """Return what a strategy is."""
    summary = (kind.__doc__ or "").partition("\n")[0]
    return StrategyDescription(
        kind.name, summary, kind().parameters, tuple(sorted(kind.needs)), kind.pools, kind.simplicity
    )
