"""The description of a strategy, read from the strategy itself: for lists, forms and the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from attnscope_model.strategies.base import Strategy
from attnscope_model.strategies.compressors import installed_compressors
from attnscope_model.strategies.fitting import (
    Observation,
    looks_at_attention,
    why_not_memory,
    why_not_observation,
    why_not_path,
    why_not_policy,
    why_not_positions,
)
from attnscope_model.strategies.installed import installed_once
from attnscope_model.strategies.parameters import LARGEST, Parameter, parameters_of
from attnscope_model.strategies.registry import LEARNED, STRATEGIES, strategies
from attnscope_storage.wire import (
    FitInfo,
    Memory,
    ParameterInfo,
    PolicyDescription,
    PositionPolicy,
    Recompute,
    StrategyInfo,
)

ATTENTION_COST: Final = (
    "a forward over the whole stored context at every selection where the context is stateless, and so an oracle "
    "unless it selects at intervals; nothing where it is stateful: the rows of its own decisions are taken"
)


def describe(kind: type[Strategy], policy: PolicyDescription | None = None) -> StrategyInfo:
    """Return what a strategy is at its defaults, and where it fits: any policy, or the one that is named.

    Parameters
    ----------
    kind
        Class of the rule.
    policy
        Also say where the rule fits this policy; None says it for any.
    """
    rule = kind()
    seen = get_args(Observation) if policy is None else (policy.observation,)
    whole = None if policy is None else why_not_policy(rule, policy)
    return StrategyInfo(
        name=kind.name,
        summary=(kind.__doc__ or "").partition("\n")[0],
        parameters=tuple(map(_parameter, parameters_of(kind))),
        needs=tuple(sorted(rule.required)),
        uses=tuple(sorted(rule.uses)),
        pools=rule.pooling,
        heeds_budget=kind.bounded,
        simplicity=kind.simplicity,
        oracle=rule.oracle_reason,
        attention=ATTENTION_COST if looks_at_attention(rule) else None,
        positions=tuple(_fit(name, why_not_positions(rule, name), mind) for name, mind in POSITIONS.items()),
        memories=tuple(_fit(name, why_not_memory(rule, name)) for name in get_args(Memory)),
        paths=tuple(_fit(name, why_not_path(rule, name, policy), mind) for name, mind in PATHS.items()),
        observations=tuple(_fit(name, whole or why_not_observation(rule, name)) for name in seen),
        package=_package(kind),
    )


def describe_all(policy: PolicyDescription | None = None) -> list[StrategyInfo]:
    """Return what every strategy is, those of installed packages last.

    Parameters
    ----------
    policy
        Also say where each rule fits this policy; None says it for any.
    """
    packs = policy is not None and (policy.latents or installed_compressors())
    learned = LEARNED.values() if packs else ()
    return [describe(kind, policy) for kind in (*strategies().values(), *learned)]


POSITIONS: Final[Mapping[PositionPolicy, str]] = {
    "reindex": "",
    "keep": "recomputed, it needs the stored window: not stateful",
    "right_align": "",
    "mask": "an oracle: it saves nothing; needs the stored window: not stateful",
}
PATHS: Final[Mapping[Recompute, str]] = {
    "recompute": "",
    "cached": "causal policies with positions by distance (rotary, alibi, relative) only; stateful",
}
"""A warning where it fits."""


def _package(kind: type[Strategy]) -> str:
    if kind.name in STRATEGIES or kind.name in LEARNED:
        return "attnscope"
    installed = installed_once(frozenset(STRATEGIES)).get(kind.name)
    return installed[1] if installed is not None else kind.__module__.partition(".")[0]


def _fit(name: str, why_not: str | None, mind: str = "") -> FitInfo:
    return FitInfo(name=name, fits=why_not is None, why=why_not or mind)


def _parameter(parameter: Parameter) -> ParameterInfo:
    bounds, whole = parameter.bounds, parameter.kind == "integer"
    default = parameter.default.spec if isinstance(parameter.default, Strategy) else parameter.default
    low = bounds.low if bounds.low is not None else (-LARGEST if whole else None)
    high = bounds.high if bounds.high is not None else (LARGEST if whole else None)
    return ParameterInfo(
        name=parameter.name,
        type=parameter.kind,
        default=default,
        meaning=bounds.meaning,
        minimum=low,
        maximum=high,
        exclusive_minimum=bounds.above,
        odd=bounds.odd,
    )
