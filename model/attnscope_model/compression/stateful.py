"""Stateful compression: what is dropped is gone, and what is kept may be older than any window."""

from __future__ import annotations

import torch
from torch import Tensor

from attnscope_model.compression.facts import Facts, rooms_for
from attnscope_model.compression.forward import Decided, Piece
from attnscope_model.compression.kept import Kept, kept_of, nothing
from attnscope_model.compression.placing import Frame, Placing
from attnscope_model.compression.seen import history_row
from attnscope_model.compression.setup import Compression
from attnscope_model.compression.views import Judged, Query, view_of
from attnscope_model.compression.whole import WholeWindows
from attnscope_storage.wire import PolicyDescription

ROWS, RECEIVED, EXPECTED = "rows", "received", "even"
"""Names of what decision rows said, beside the other facts of an entry."""


class StatefulContext:
    """The compressed contexts of some rollouts, of which nothing else is stored.

    A full one that is not due gives up its oldest entry for a new one, as a plain window does. A token that stands
    for several goes on as its newest member, but for the tokens themselves. What decision rows say of an entry is
    what the condition's own decisions said; one that none has seen is not judged yet.
    """

    def __init__(self, setup: Compression, placing: Placing, policy: PolicyDescription, lanes: slice) -> None:
        self.lanes = lanes
        self.setup = setup
        self.records = setup.looks
        """True where it learns from the rows of its own decisions."""
        self.decided_from = Kept({}, ())
        """The entries that the last decision was made of."""
        self.placing = placing
        self._policy = policy
        self._capacity = policy.transitions
        self._count = lanes.stop - lanes.start
        self._facts: Facts = {}
        self._counts = torch.zeros(self._count, dtype=torch.int64)
        self._seen = 0

    def append(self, facts: Facts) -> None:
        """Add a finished transition."""
        facts = facts | self._unjudged(facts["last"]) | self._computed_once(facts["embedded"])
        if not self._facts:
            self._facts = rooms_for(facts, self._count, self._capacity)
        self._seen += 1
        full = self._counts == self._capacity
        if bool(full.any()):
            left = self._kept().without_oldest(tuple(full.long().tolist()))
            self._put(Kept({name: value.clone() for name, value in left.facts.items()}, left.counts))
        equal = bool((self._counts == self._counts[0]).all())
        for name, value in facts.items():
            if equal:
                self._facts[name][:, int(self._counts[0])] = value
            else:
                self._facts[name][torch.arange(self._count), self._counts.to(value.device)] = value
        self._counts = self._counts + 1

    def prepare(self, query: Query, whole: WholeWindows | None = None) -> None:  # noqa: ARG002 - there are no whole windows to look at
        """Cut what is due down to the budget."""
        due = self._due()
        if not len(due):
            return
        held = min(self._seen, self._capacity)
        device = query.lane.device
        everyone = len(due) == self._count
        counts = self._counts[due]
        width = int(counts.max())
        lanes = due.to(device)
        part = {name: (room if everyone else room[lanes])[:, :width] for name, room in self._facts.items()}
        there = torch.arange(width, device=device) < counts.to(device)[:, None]
        view = view_of(part, query if everyone else query.of(lanes), there, self._judged(part))
        cut = kept_of(self.setup.rule.plan(view, self.setup.limit(held)), part)
        self._put(cut, None if everyone else due)

    def pass_by(self, query: Query, whole: WholeWindows) -> None:
        """Go on without a decision."""
        self.prepare(query, whole)

    def _kept(self) -> Kept:
        """Return the entries that the next decision is made of."""
        return Kept(self._facts, tuple(self._counts.tolist()))

    def pieces(self, query: Query) -> list[Piece]:
        """Return the contexts of the next decision."""
        if not self._facts:
            empty = query.embedded.new_zeros(self._count, 0, query.embedded.shape[-1])
            self.decided_from = nothing(empty, query.episode)
            return self.placing.pieces(self.decided_from, Frame(query.embedded, 0, 0))
        held = min(self._seen, self._capacity)
        self.decided_from = self._kept()
        return self.placing.pieces(self.decided_from, Frame(query.embedded, self._seen - held, held))

    def decided(self, pieces: list[Piece], decisions: list[Decided]) -> None:
        """Take down what the decisions attended to, where the strategy looks at it."""
        if not self.setup.looks or not self._facts:
            return
        for piece, decision in zip(pieces, decisions, strict=True):
            if decision.rows is None:
                raise ValueError("expected decisions with their rows recorded")
            row, even = history_row(decision.rows, self._policy)
            self._look(piece.lanes, row, even)

    def computed(self, held: int) -> list[tuple[tuple[int, int], ...]]:
        """Return (tokens computed, tokens attended to) of each rollout's last decision."""
        tokens = [self.placing.computed(entries, held) for entries in self.decided_from.counts]
        return [((many, many),) for many in tokens]

    def _look(self, lanes: Tensor | None, row: Tensor, even: float) -> None:
        envs = torch.arange(self._count, device=row.device) if lanes is None else lanes
        span = slice(0, row.shape[1])
        rows, received, expected = (self._facts[name] for name in (ROWS, RECEIVED, EXPECTED))
        rows[envs, span] = torch.cat([rows[envs, span, 1:], row[:, :, None]], dim=2)
        before = received[envs, span]
        received[envs, span] = torch.where(before.isnan(), 0, before) + row
        expected[envs, span] += even

    def _computed_once(self, embedded: Tensor) -> Facts:  # noqa: ARG002 - for contexts that keep what they computed
        """Return room for what is computed of a new entry once and kept: nothing, where all is computed anew."""
        return {}

    def _unjudged(self, like: Tensor) -> Facts:
        """Return what is known of attention to a new entry: nothing."""
        if not self.setup.looks:
            return {}
        none = torch.full((len(like),), float("nan"), device=like.device)
        return {ROWS: none[:, None].expand(-1, self.setup.rows), RECEIVED: none, EXPECTED: torch.zeros_like(none)}

    def _judged(self, facts: Facts) -> Judged | None:
        if not self.setup.looks:
            return None
        return Judged(facts[ROWS].transpose(1, 2), facts[RECEIVED], facts[EXPECTED])

    def _put(self, kept: Kept, lanes: Tensor | None = None) -> None:
        """Make these entries the contexts of all rollouts, or of some."""
        width = kept.facts["last"].shape[1]
        for name, value in kept.facts.items():
            if lanes is None:
                self._facts[name][:, :width] = value
            else:
                self._facts[name][lanes.to(value.device), :width] = value
        counts = torch.tensor(kept.counts)
        if lanes is None:
            self._counts = counts
        else:
            self._counts[lanes] = counts

    def _due(self) -> Tensor:
        """Return the rollouts that are to be cut down."""
        interval = self.setup.interval
        if self._seen == 0:
            return torch.zeros(0, dtype=torch.int64)
        if interval == "full":
            return torch.nonzero(self._counts == self._capacity)[:, 0]
        return torch.arange(self._count if self._seen % interval == 0 else 0)
