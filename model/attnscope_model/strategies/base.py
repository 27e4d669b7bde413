"""The plumbing of every strategy: parameters, budgets, checks, and the promise that something is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any, ClassVar

from jaxtyping import Bool, Float, Int

from attnscope_model.strategies.arrays import Array, as_float, best, namespace
from attnscope_model.strategies.errors import StrategyError, ViewIncompleteError
from attnscope_model.strategies.parameters import checked, parameters_of
from attnscope_model.strategies.plan import Plan
from attnscope_model.strategies.view import ContextView

Budget = int | float | Int[Array, "..."]
"""Tokens of history that may be kept: a whole number, a share, or a number a history."""


class Form:
    """One form of a rule that advice ranks: values of its parameters to choose among."""

    def __init__(
        self, *choices: Mapping[str, Any], key: str = "", guide: bool = False, interval: int | None = None
    ) -> None:
        """Declare a form.

        Parameters
        ----------
        choices
            Values of parameters, the default first; none are the rule's own defaults.
        key
            Name in the ranking where a rule has several forms; else the rule's name.
        guide
            Whether it is one of the guide's three, which are always ranked.
        interval
            Decisions between two selections at which the form can be deployed; None takes 1 for a rule that looks at no
            attention and 10 for one that does.
        """
        self.interval = interval
        self.choices = choices or ({},)
        self.key = key
        self.guide = guide


@dataclass(frozen=True)
class Strategy(ABC):
    """A rule that shortens a context. A subclass is a dataclass of its parameters and one method.

    Parameters are declared with `parameter`, which bounds and explains them. What a rule looks at may depend on them:
    ask `required`, `uses` and `pooling` of an instance, which wrappers answer for what they wrap.
    """

    name: ClassVar[str]
    order: ClassVar[int] = 1000
    """Place in lists; rules of one place stand by name."""
    forms: ClassVar[tuple[Form, ...]] = (Form(),)
    """The candidates of the rule that advice ranks, none where it is empty; a subclass declares its own."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """Fields of the view that the rule looks at, whatever its parameters."""
    simplicity: ClassVar[int] = 1
    """0 is the simplest; among strategies that do equally well the simplest is recommended."""
    pools: ClassVar[bool] = False
    """True where it builds tokens out of several entries."""
    bounded: ClassVar[bool] = True
    """True where it heeds the budget; only `none` does not."""
    by_place: ClassVar[bool] = False
    """True where it looks at nothing but places, so that histories of one length share one plan."""
    oracle: ClassVar[str | None] = None
    """Why no compressed policy could apply it, where none could; else None."""

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        ParameterError
            One is of another type than its default, or out of range.
        """
        for parameter in parameters_of(type(self)):
            value = checked(self.name, parameter, getattr(self, parameter.name))
            object.__setattr__(self, parameter.name, value)

    @property
    def required(self) -> frozenset[str]:
        """Fields of the view without which it cannot choose."""
        return self.needs

    @property
    def uses(self) -> frozenset[str]:
        """Fields of the view that it looks at where they are there, `required` among them."""
        return self.required

    @property
    def decision_rows(self) -> int:
        """Decision rows of attention that it looks at, at most: its parameter ``rows`` where it has one."""
        rows = getattr(self, "rows", 1)
        return rows if isinstance(rows, int) else 1

    @property
    def pooling(self) -> bool:
        """True where it, or what it wraps, builds tokens out of several entries."""
        return self.pools

    @property
    def oracle_reason(self) -> str | None:
        """Why no compressed policy could apply it, or what it wraps; None where one could."""
        return self.oracle

    def plan(self, view: ContextView, budget: Budget) -> Plan:
        """Return the tokens to build: at most `budget`, and at least one where there is any history.

        Parameters
        ----------
        view
            Contexts of several rollouts; see `ContextView`.
        budget
            Tokens of history that may be kept, the query not counted: a whole number (or one a history), or a share of
            each history below 1, rounded down and never below one token. 1.0 is all of it, 1 is one token.

        Raises
        ------
        StrategyError
            The budget is no such number.
        ViewIncompleteError
            The view lacks what the rule looks at.
        """
        missing = sorted(field for field in self.required if getattr(view, field) is None)
        if missing:
            raise ViewIncompleteError(f"{self.name} looks at {', '.join(missing)}, which this view does not have")
        if self.by_place and isinstance(budget, int | float) and (one := view.one_for_all()) is not None:
            return self._nonempty(one, entries(one, budget)).for_all(view.held)
        return self._nonempty(view, entries(view, budget))

    def _nonempty(self, view: ContextView, limit: Int[Array, "*batch"]) -> Plan:
        """Return what is chosen, or the newest entry where that is nothing."""
        chosen = self.choose(view, limit)
        xp = namespace(view.held)
        empty = (chosen.tokens == 0) & (limit > 0)
        if not bool(xp.any(empty)):
            return chosen
        newest = view.held & (view.age == 1) & empty[..., None]
        index = xp.broadcast_to(view.index, newest.shape)
        leader = xp.where(newest, index, chosen.leader)
        return Plan(leader, xp.where(newest, as_float(newest), chosen.weight), pure=chosen.pure)

    @abstractmethod
    def choose(self, view: ContextView, limit: Int[Array, "*batch"]) -> Plan:
        """Return the tokens to build, at most `limit` of them; nothing where the limit is 0.

        Parameters
        ----------
        view
            Contexts of several rollouts; see `ContextView`.
        limit
            Entries that each rollout may keep, int [*batch].
        """

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters by name; a wrapped strategy is given as its specification."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value.spec if isinstance(value, Strategy) else value for name, value in values.items()}

    @property
    def spec(self) -> dict[str, Any]:
        """Name and parameters as JSON: what `strategy` reads back."""
        return {"name": self.name, **self.parameters}

    def __str__(self) -> str:
        """Return e.g. ``sinks(sinks=4)``."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return f"{self.name}({', '.join(f'{name}={value}' for name, value in values)})"


@dataclass(frozen=True)
class Selection(Strategy):
    """A strategy that keeps entries as they are and drops the rest."""

    def choose(self, view: ContextView, limit: Int[Array, "*batch"]) -> Plan:
        """Return the plan of `keep`.

        Parameters
        ----------
        view
            Contexts of several rollouts; see `ContextView`.
        limit
            Entries that each rollout may keep, int [*batch].
        """
        return Plan.of(self.keep(view, limit))

    @abstractmethod
    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
        """Return which entries to keep.

        Parameters
        ----------
        view
            Contexts of several rollouts; see `ContextView`.
        limit
            Entries that each rollout may keep, int [*batch].
        """


@dataclass(frozen=True)
class Scored(Selection):
    """A selection of the entries with the highest scores; entries scored NaN (not judged yet) come first."""

    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
        """Return the entries with the highest scores, ties by age.

        Parameters
        ----------
        view
            Contexts of several rollouts; see `ContextView`.
        limit
            Entries that each rollout may keep, int [*batch].
        """
        return best(self.score(view), view.held, limit)

    @abstractmethod
    def score(self, view: ContextView) -> Float[Array, "*batch entry"]:
        """Return what each entry is worth.

        Parameters
        ----------
        view
            Contexts of several rollouts; see `ContextView`.
        """


def entries(view: ContextView, budget: Budget) -> Int[Array, "*batch"]:
    """Return the tokens that a budget allows each history; see `Strategy.plan`."""
    count = view.count
    xp = namespace(count)
    if isinstance(budget, bool):
        raise StrategyError(f"a budget is a number of tokens or a share of them, got {budget}")
    if isinstance(budget, float):
        if not 0 < budget <= 1:
            raise StrategyError(f"a budget as a share must lie above 0 and at most at 1.0, got {budget}")
        share = xp.astype(xp.floor(as_float(count) * budget + 1e-9), xp.int64)
        return xp.where((share < 1) & (count > 0), xp.ones_like(share), share)
    if isinstance(budget, Integral):
        if budget < 1:
            raise StrategyError(f"a budget in tokens must be 1 at least, got {budget}")
        budget = xp.full_like(count, int(budget))
    return xp.where(budget < count, budget, count)
