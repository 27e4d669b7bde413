"""The transitions of stored histories that a stateless rule keeps, planned straight from them: no step is walked.

Between two selections the newest transitions join what was selected; what does not fit is given up, oldest first. That
is what `attnscope_model.compression.stateless` does step by step; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attnscope_model.compression import Compression
from attnscope_model.compression.facts import CHOSEN_BY
from attnscope_model.compression.kept import kept_of
from attnscope_model.compression.views import Judged
from attnscope_model.strategies import ContextView, Plan
from attnscope_server.screening.block import Block, Moments, Window
from attnscope_server.screening.seen import Interval, SeenRows

PAIRS: Final = 2**22
"""Pairs of entries that are compared at a time: some rules need the square of a window's entries."""


@dataclass(frozen=True, eq=False)
class Kept:
    """The transitions that an arm keeps at every decision, from `Frame.base` on."""

    stands: Bool[Tensor, "decision column"]
    """Transitions that a token stands for: of a pooled one the newest."""
    alone: Bool[Tensor, "decision column"]
    """Those that are kept as they are."""
    mixed: Float[Tensor, "decision column size"] | None = None
    """The tokens, where any is pooled out of several transitions."""

    @property
    def counts(self) -> Int[Tensor, " decision"]:
        """Entries of every context."""
        return self.stands.sum(dim=1)

    @property
    def pure(self) -> Bool[Tensor, " decision"]:
        """True where every token of a context is a transition as it is."""
        return (self.alone == self.stands).all(dim=1)


@dataclass(frozen=True, eq=False)
class Batch:
    """Decisions that are planned together, at their newest selections."""

    which: Int[Tensor, " part"]
    moments: Moments
    """The selections that the decisions follow."""
    window: Window
    view: ContextView
    """Without attention."""
    judged: dict[tuple[Interval, int], Judged] = field(default_factory=dict)
    """The contents of rows, by interval and by the number of rows that a rule looks at."""


class Frame:
    """The decisions of a block, and the transitions that any arm may keep there.

    Parameters
    ----------
    block
        Where they are.
    moments
        The decisions.
    longest
        The longest interval of any arm: what it selected may have slid out of the window since.
    """

    def __init__(self, block: Block, moments: Moments, longest: int) -> None:
        self.block = block
        self.moments = moments
        self.held = block.held(moments.step)
        self.start = moments.step - self.held
        self.base = (moments.step - block.capacity - longest + 1).clamp(min=0)
        columns = max(1, int((moments.step - self.base).max()))
        self.transition = self.base[:, None] + torch.arange(columns, device=block.device)
        """Transition index of every column."""
        inside = self.transition < moments.step[:, None]
        self.window = inside & (self.transition >= self.start[:, None])
        """Columns of the uncompressed window."""
        self._parts: dict[Interval, list[Batch]] = {}

    def kept(self, arm: Compression, seen: SeenRows | None) -> Kept:
        """Return what an arm keeps.

        Raises
        ------
        ValueError
            It looks at attention, and there are no rows.
        """
        at = self._selected_at(arm.interval)
        stands, mixed = self.window.clone(), None
        alone = stands.clone()
        for part in self._selecting(arm.interval):
            plan = arm.rule.plan(_seen(part, arm, seen), _limit(arm, self.block.held(part.moments.step)))
            stands[part.which], alone[part.which] = self._placed(plan, part)
            if arm.rule.pooling:
                mixed = self._tokens() if mixed is None else mixed
                mixed[part.which] = self._mixed(plan, part, mixed[part.which])
        joined = torch.minimum(self.moments.step - at, self.held)
        newest = self.window & (self.transition >= (self.moments.step - joined)[:, None]) & (at > 0)[:, None]
        stands, alone = stands | newest, alone | newest
        fits = stands & (stands.cumsum(dim=1) > self._over(arm, stands)[:, None])
        return Kept(fits, alone & fits, mixed)

    def _selected_at(self, interval: Interval) -> Int[Tensor, " decision"]:
        """Return the step of the newest selection before each decision; 0 where there is none yet."""
        step = self.moments.step
        if interval == "full":
            return torch.where(self.held == self.block.capacity, step, 0)
        return step - step % interval

    def _selecting(self, interval: Interval) -> list[Batch]:
        """Return the decisions that follow a selection, windows of nearly equal length together."""
        if interval in self._parts:
            return self._parts[interval]
        block, at = self.block, self._selected_at(interval)
        which = torch.nonzero(at > 0)[:, 0]
        which = which[at[which].argsort(stable=True)]
        found: list[Batch] = []
        while len(which):
            few = max(1, PAIRS // int(block.held(at[which[-1]])) ** 2)
            mine, which = which[-few:], which[:-few]
            moments = Moments(self.moments.rollout[mine], at[mine])
            window = block.window(moments)
            where = moments.rollout, moments.step
            view = ContextView(
                transition=window.index,
                held=window.held,
                query_episode=block.episode[where],
                query_observation=block.observed[where],
                lane=block.lanes[moments.rollout],
                **{name: block.taken(name, moments, window.index) for name in CHOSEN_BY},
            )
            found.append(Batch(mine, moments, window, view))
        self._parts[interval] = found
        return found

    def _placed(self, plan: Plan, part: Batch) -> tuple[Tensor, Tensor]:
        """Return a plan's tokens by column, and those that are kept as they are."""
        window, beyond = part.window, self.transition.shape[1]
        columns = torch.where(window.held, window.index - self.base[part.which][:, None], beyond)
        room = torch.zeros(2, len(columns), beyond + 1, dtype=torch.bool, device=columns.device)
        for index, marks in enumerate((plan.leads, plan.alone)):
            room[index].scatter_(1, columns, marks & window.held)
        return room[0, :, :-1], room[1, :, :-1]

    def _mixed(
        self, plan: Plan, part: Batch, tokens: Float[Tensor, "part column size"]
    ) -> Float[Tensor, "part column size"]:
        """Return the tokens with the built ones at their leaders' columns."""
        index = part.window.index
        facts = {"embedded": self.block.taken("embedded", part.moments, index), "first": index, "last": index}
        built = kept_of(plan, facts).facts["embedded"]
        leads = plan.leads & part.window.held
        row, entry = leads.nonzero(as_tuple=True)
        number = leads.cumsum(dim=1) - 1
        tokens[row, index[row, entry] - self.base[part.which][row]] = built[row, number[row, entry]]
        return tokens

    def _tokens(self) -> Float[Tensor, "decision column size"]:
        index = self.transition.clamp(max=self.block.steps - 1)
        return self.block.taken("embedded", self.moments, index)

    def _over(self, arm: Compression, stands: Tensor) -> Int[Tensor, " decision"]:
        """Return how many of the oldest entries are given up."""
        over = (stands.sum(dim=1) - self.block.capacity).clamp(min=0)
        if arm.positions != "keep":
            return over
        slid = (stands & (self.transition < self.start[:, None])).sum(dim=1)
        return torch.maximum(over, slid)


def _seen(part: Batch, arm: Compression, seen: SeenRows | None) -> ContextView:
    """Return a part's windows as a rule sees them."""
    if not arm.looks:
        return part.view
    if seen is None:
        raise ValueError(f"expected stored rows: {arm.rule} looks at attention")
    key = (arm.interval, arm.rows)
    if key not in part.judged:
        part.judged[key] = seen.judged(part.moments, *key)
    judged = part.judged[key]
    return replace(part.view, attention=judged.attention, accumulated=judged.accumulated, expected=judged.expected)


def _limit(arm: Compression, held: Int[Tensor, " decision"]) -> Int[Tensor, " decision"]:
    """Return what each history may keep; as `Compression.limit` of each."""
    if arm.budget is None:
        return held.clamp(min=1)
    if isinstance(arm.budget, float):
        return (held.double() * arm.budget + 1e-9).floor().long().clamp(min=1)
    return held.clamp(min=1, max=arm.budget)
