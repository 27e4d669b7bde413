"""The part of a plan that says under which compression a policy is trained."""

from __future__ import annotations

import json
import re
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from attnscope_model.compression.setup import Compression, unfit
from attnscope_model.strategies import Strategy, StrategyError, strategy
from attnscope_model.strategies.fitting import why_not
from attnscope_model.strategies.spelling import spelled
from attnscope_model.training.compressed import Under, why_untrainable
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.wire import PolicyDescription
from attnscope_storage.wire.specifications.arms import Budget, PositionPolicy
from attnscope_storage.wire.strategies import TrainedUnder

_SPELLING: Final = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9\-]*)(\((?P<parameters>[^()]*)\))?:(?P<budget>\d{1,7}(\.\d{1,17})?%?)"
)


class UnderUnfitError(AttnscopeError, ValueError):
    """A policy cannot be trained, or evaluated, under this compression."""


class UnderPlan(BaseModel):
    """A rule at a budget, and where kept tokens stand: the contexts of a training and of its evaluations."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: str
    parameters: dict[str, Any] = Field(description="All of them, defaults too.")
    budget: Budget
    positions: PositionPolicy
    interval: int = Field(default=1, ge=1, description="Decisions between two selections.")
    decisions: int = Field(default=24, ge=1, description="Decisions of each window that have a loss.")

    @classmethod
    def of_text(cls, text: str, positions: PositionPolicy, *, interval: int = 1, decisions: int = 24) -> Self:
        """Return ``recency:64``, ``rewards:40%`` or ``sinks(sinks=8):0.4``.

        Parameters
        ----------
        text
            A rule, values of its parameters where they are not the defaults, and a number or a share of transitions.
        positions
            Where kept tokens stand.
        interval
            Decisions between two selections.
        decisions
            Decisions of each window that have a loss.

        Raises
        ------
        UnderUnfitError
            The text is none of these, or no rule has that name or those parameters.
        """
        found = _SPELLING.fullmatch(text.strip())
        if found is None:
            raise UnderUnfitError(f"expected a rule and a budget like recency:64 or rewards:40%, got {text!r}")
        rule = _rule(found["name"], _parameters(found["parameters"] or ""))
        values = {key: value for key, value in rule.spec.items() if key != "name"}
        return cls(
            strategy=rule.name,
            parameters=values,
            budget=_budget(found["budget"]),
            positions=positions,
            interval=interval,
            decisions=decisions,
        )

    @property
    def text(self) -> str:
        """The rule and its budget for people, e.g. ``rewards 40 %, keep``."""
        amount = f"{self.budget * 100:g} %" if isinstance(self.budget, float) else str(self.budget)
        every = "" if self.interval == 1 else f", every {self.interval}"
        return f"{spelled(self.strategy, self.parameters)} {amount}, {self.positions}{every}"

    @property
    def short(self) -> str:
        """The rule and its budget for names of folders, e.g. ``rewards-0.4``."""
        rule = re.sub(r"[^a-z0-9.]+", "-", spelled(self.strategy, self.parameters)).strip("-")
        every = "" if self.interval == 1 else f"-every-{self.interval}"
        return f"{rule}-{self.budget:g}{every}"

    @property
    def compression(self) -> Compression:
        """The compression."""
        return Compression(_rule(self.strategy, self.parameters), self.budget, self.positions, self.interval)

    def under(self, horizon: int) -> Under:
        """Return it as a trainer takes it, for episodes of so many steps."""
        return Under(self.compression, horizon, self.decisions)

    def told(self) -> TrainedUnder:
        """Return it as an entry tells it."""
        return TrainedUnder(
            strategy=self.strategy,
            parameters=self.parameters,
            budget=self.budget,
            positions=self.positions,
            interval=self.interval,
            text=self.text,
        )

    def refuse_unfit(self, policy: PolicyDescription) -> None:
        """Refuse what cannot be trained, or not with this policy.

        Raises
        ------
        UnderUnfitError
            The rule looks at attention, is an oracle, or does not fit the policy.
        """
        setup = self.compression
        reason = (
            why_untrainable(setup)
            or unfit(policy, setup.positions, setup.memory, setup.path)
            or why_not(setup.rule, policy, setup.positions, setup.memory, setup.path)
        )
        if reason is not None:
            raise UnderUnfitError(f"under {self.text}: {reason}")


def _rule(name: str, parameters: dict[str, Any]) -> Strategy:
    try:
        return strategy(name, **parameters)
    except StrategyError as error:
        raise UnderUnfitError(str(error)) from error


def _parameters(text: str) -> dict[str, Any]:
    """Return ``sinks=8, share=0.5`` as values by name."""
    found: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        try:
            found[name.strip()] = json.loads(value)
        except ValueError as error:
            raise UnderUnfitError(f"expected parameters like sinks=8, got {part!r}") from error
    return found


def _budget(text: str) -> int | float:
    bare = text.removesuffix("%")
    number = int(bare) if bare == text and "." not in bare else float(bare) / (100 if bare != text else 1)
    if number < 1 if isinstance(number, int) else not 0 < number < 1:
        raise UnderUnfitError(f"expected at least 1 transition, or a share between 0 and 100%, got {text}")
    return number
