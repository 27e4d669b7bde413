"""The share of the uncompressed policy's attention that a strategy would have kept, rollout by rollout."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int

from attnscope.reading.judging import JudgedRows
from attnscope.recommendations.attention.decisions import Decisions
from attnscope_model.strategies import ContextView, Strategy, strategy

ELEMENTS = 2**22
"""Pairs of entries that are compared at a time."""

ROUNDING = 1e-6
"""Mass below which a difference is that of float32."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """The attention that a strategy would have kept at a budget: of each decision, and the means of each rollout.

    Heads and layers are averaged at the end; the query's own token is always kept and counted in every mass.
    """

    judged: JudgedRows
    kept: Float64[np.ndarray, "decision env"]
    """Attention to tokens that are kept as they are, and to the query."""
    evenly: Float64[np.ndarray, "decision env"]
    """The attention that evenly spaced tokens keep, as many at every decision."""
    most: Float64[np.ndarray, "decision env"]
    """The attention that as many best tokens of the scored row keep: no rule can keep more."""
    represented: Float64[np.ndarray, " env"]
    """`exact` with pooled tokens counted whole: what pooling keeps lies between the two, and attention cannot tell."""
    worst_head: Float64[np.ndarray, " env"]
    """`exact` of the head that loses most on average."""
    tokens: Float64[np.ndarray, " env"]
    """Tokens of history that were kept or built, the effective budget."""
    share: Float64[np.ndarray, " env"]
    """The same as a share of the history."""

    @cached_property
    def exact(self) -> Float64[np.ndarray, " env"]:
        """The mean of `kept`."""
        return self.judged.mean(self.kept)

    @cached_property
    def uniform(self) -> Float64[np.ndarray, " env"]:
        """The mean of `evenly`."""
        return self.judged.mean(self.evenly)

    @cached_property
    def possible(self) -> Float64[np.ndarray, " env"]:
        """The mean of `most`."""
        return self.judged.mean(self.most)

    @property
    def excess(self) -> Float64[np.ndarray, " env"]:
        """Mass kept beyond what evenly spaced tokens keep."""
        return np.asarray(self.exact - self.uniform)

    @property
    def skill(self) -> Float64[np.ndarray, " env"]:
        """Share of what a choice can gain over evenly spaced tokens that this one gains: 0 blind, 1 the best there is.

        It compares rules that keep different numbers of tokens. NaN where no choice can gain anything.
        """
        room = self.possible - self.uniform
        return np.asarray(np.divide(self.excess, room, out=np.full(room.shape, np.nan), where=room > ROUNDING))


def evaluate(rule: Strategy, budget: float | Int[np.ndarray, "decision env"], decisions: Decisions) -> Outcome:
    """Return what a strategy would have kept of decisions that attended to their whole context."""
    view = decisions.view
    used, alone, tokens = chosen(rule, view, budget)
    even, _, _ = chosen(strategy("uniform"), view, tokens)
    count = np.maximum(view.count, 1)
    row = decisions.mass.mean(axis=(2, 3))[:, :, None]
    top, _, _ = chosen(strategy("tova"), dataclasses.replace(view, attention=row), tokens)
    exact, judged = _kept(decisions, alone), decisions.judged
    return Outcome(
        judged=judged,
        kept=exact.mean(axis=(2, 3)),
        evenly=_kept(decisions, even).mean(axis=(2, 3)),
        most=_kept(decisions, top).mean(axis=(2, 3)),
        represented=judged.mean((_kept(decisions, used) if rule.pooling else exact).mean(axis=(2, 3))),
        worst_head=judged.mean(exact).min(axis=(1, 2)),
        tokens=judged.mean(tokens.astype(np.float64)),
        share=judged.mean(tokens / count),
    )


def chosen(
    rule: Strategy, view: ContextView, budget: float | Int[np.ndarray, "decision env"]
) -> tuple[
    Bool[np.ndarray, "decision env entry"], Bool[np.ndarray, "decision env entry"], Int[np.ndarray, "decision env"]
]:
    """Return the entries that go into tokens, those kept as they are, and the tokens of each history.

    Histories are planned a few at a time: rules that compare entries need the square of their number.
    """
    shape = view.held.shape
    fields = {field.name: getattr(view, field.name) for field in dataclasses.fields(view)}
    flat = {name: None if value is None else value.reshape(-1, *value.shape[2:]) for name, value in fields.items()}
    limit = budget.reshape(-1) if isinstance(budget, np.ndarray) else None
    few = max(1, ELEMENTS // shape[-1] ** 2)
    used, alone, tokens = [], [], []
    for first in range(0, shape[0] * shape[1], few):
        part = ContextView(**{n: None if value is None else value[first : first + few] for n, value in flat.items()})
        plan = rule.plan(part, budget if limit is None else limit[first : first + few])
        used.append(plan.used)
        alone.append(plan.alone if rule.pooling else plan.used)
        tokens.append(plan.tokens)
    whole = [np.concatenate(parts) for parts in (used, alone, tokens)]
    return whole[0].reshape(shape), whole[1].reshape(shape), whole[2].reshape(shape[:2])


def kept_mass(rule: Strategy, budget: float, decisions: Decisions) -> float:
    """Return the mean over rollouts of `Outcome.exact`, and nothing else."""
    _, alone, _ = chosen(rule, decisions.view, budget)
    exact = _kept(decisions, alone)
    return float(np.nanmean(decisions.judged.mean(exact.mean(axis=(2, 3)))))


def split_rollouts(task: Int[np.ndarray, " env"]) -> tuple[Int[np.ndarray, " chosen"], Int[np.ndarray, " judged"], str]:
    """Return the rollouts that parameters are chosen on, those that they are judged on, and how they were parted.

    Half of every task's rollouts, where every task has two; else every other task; else nothing is chosen, and all
    rollouts judge the defaults.
    """
    envs = np.arange(len(task))
    names, place, count = np.unique(task, return_inverse=True, return_counts=True)
    if (count > 1).all():
        within = np.array([int((place[:env] == place[env]).sum()) for env in envs])
        chooses = within < (count // 2)[place]
        return envs[chooses], envs[~chooses], "half of every task's rollouts chose, the others judge"
    if len(names) > 1:
        chooses = place % 2 == 1
        return envs[chooses], envs[~chooses], "every other task chose, the other tasks judge"
    return envs[:0], envs, "one rollout: nothing was chosen from it, defaults are judged"


def _kept(
    decisions: Decisions, mask: Bool[np.ndarray, "decision env entry"]
) -> Float64[np.ndarray, "decision env layer head"]:
    """Return the attention to the marked transitions and to the query's own token."""
    history = np.einsum("delhn,den->delh", decisions.mass, mask.astype(np.float32))
    return np.asarray((decisions.own + history).astype(np.float64))
