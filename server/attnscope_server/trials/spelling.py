"""A trial's rules, and each condition spelled out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from attnscope_model.compression import unfit
from attnscope_model.strategies import Strategy, StrategyError, build, why_not, why_oracle
from attnscope_model.strategies.learned import Latents
from attnscope_server.errors import ProblemError, refusal
from attnscope_storage.wire import (
    Budget,
    Condition,
    PolicyDescription,
    PositionPolicy,
    ProblemCode,
    StrategyChoice,
    TrialSpec,
)


@dataclass(frozen=True)
class Rule:
    """A strategy of a trial."""

    made: Strategy
    control: bool = False


class Whose(NamedTuple):
    """The fields of a condition that only trials with arms fill."""

    checkpoint: int = 0
    checkpoint_name: str | None = None
    arm: int | None = None


NOBODY: Final = Whose()
"""Those of a condition that no arm asked for."""


def made_of(choice: StrategyChoice, where: str) -> Strategy:
    """Return the strategy of a choice.

    Raises
    ------
    ProblemError
        invalid-request: there is none of that name, or a parameter does not fit it.
    """
    try:
        return build(choice.name, choice.parameters)
    except StrategyError as error:
        raise refused(f"{where}: {error}") from error


def refuse_large_budget(budget: Budget, policy: PolicyDescription, name: str, where: str) -> None:
    """Refuse a budget that would drop nothing."""
    full = policy.transitions
    if isinstance(budget, int) and budget > full:
        detail = f"{where}: a full context of {name} holds {full} transitions, {budget} would drop none of them"
        raise refused(f"{detail}; all of them is the strategy none")


def refuse_unfit(
    rule: Rule, positions: PositionPolicy, spec: TrialSpec, policy: PolicyDescription, name: str, where: str
) -> None:
    """Refuse a rule, and a way to decide, that a policy does not allow."""
    if (reason := why_not(rule.made, policy, positions, spec.memory, spec.path)) is not None:
        raise refused(f"{where}: {reason} (positions {positions})")
    if (reason := unfit(policy, positions, spec.memory, spec.path)) is not None:
        raise refused(f"positions, memory and path for {name}: {reason}")


def spelled(
    index: int, rule: Rule, budget: Budget | None, positions: PositionPolicy, spec: TrialSpec, whose: Whose = NOBODY
) -> Condition:
    """Return a condition, with the interval, memory and path of a specification."""
    plain = index == 0 or isinstance(rule.made, Latents)
    reason = None if plain else why_oracle(rule.made, positions, spec.memory, spec.interval)
    return Condition(
        index=index,
        strategy=rule.made.name,
        parameters=rule.made.parameters,
        text=str(rule.made),
        budget=budget,
        positions=positions,
        interval=1 if plain else spec.interval,
        memory="stateful" if isinstance(rule.made, Latents) else "stateless" if plain else spec.memory,
        path="recompute" if plain else spec.path,
        control=rule.control,
        oracle=reason is not None,
        oracle_reason=reason,
        **whose._asdict(),
    )


def refused(detail: str) -> ProblemError:
    """Return the refusal of a request that cannot be met."""
    return refusal(ProblemCode.INVALID_REQUEST, detail)
