"""Stateless compression: the whole window stays stored, and every selection is made of it anew."""

from __future__ import annotations

from dataclasses import replace

import torch

from attnscope_model.compression.facts import Facts
from attnscope_model.compression.forward import Decided, Piece
from attnscope_model.compression.history import History
from attnscope_model.compression.kept import Kept, kept_of, nothing, what_stands
from attnscope_model.compression.placing import Frame, Placing
from attnscope_model.compression.seen import SeenWindow
from attnscope_model.compression.setup import Compression
from attnscope_model.compression.views import Query, view_of
from attnscope_model.compression.whole import WholeWindows


class StatelessContext:
    """The compressed contexts of some rollouts over their stored windows.

    Between two selections the newest transitions join what was selected. What slid out of the window leaves at the
    next selection; under ``keep`` and ``mask``, where it has no slot any more, at once.
    """

    def __init__(self, setup: Compression, placing: Placing, history: History, lanes: slice) -> None:
        self.lanes = lanes
        self.setup = setup
        self.records = False
        """True where it learns from the rows of its own decisions."""
        self.placing = placing
        self._history = history
        self.decided_from = Kept({}, ())
        """The entries that the last decision was made of."""
        self.whole_windows = 0
        """Tokens of the whole windows that were looked at for the last decision; 0: none were."""
        self.left_out = 0
        """Entries that were left out one by one for the last decision; 0: nobody tried."""
        self._selected: Kept | None = None
        self._selected_at = 0
        self._seen = SeenWindow(setup, history) if setup.looks else None

    def append(self, facts: Facts) -> None:
        """Add a finished transition; it is in the stored window already."""

    def prepare(self, query: Query, whole: WholeWindows) -> None:
        """Select where it is time to."""
        history, lanes = self._history, self.lanes
        self.whole_windows = self.left_out = 0
        if history.seen == 0 or not self._due():
            return
        if self._seen is not None:
            row, even = whole(lanes)
            self._seen.look(row, even)
            self.whole_windows = self.placing.tokens(history.held)
        window = history.window(lanes)
        view = view_of(window, query, judged=None if self._seen is None else self._seen.judged())
        if self.setup.leaves_out:
            self.left_out = history.held
            view = replace(view, influence=whole.influence(lanes, self.placing))
        plan = self.setup.rule.plan(view, self.setup.limit(history.held))
        self._selected, self._selected_at = kept_of(plan, what_stands(window)), history.seen

    def pass_by(self, query: Query, whole: WholeWindows) -> None:
        """Go on without a decision; what the next one needs is done."""
        # Where every decision selects anew, nothing of this one is left at the next, unless rows are added up.
        anew = self.setup.interval in {1, "full"}
        if not anew or (self._seen is not None and self._seen.remembers):
            self.prepare(query, whole)

    def _kept(self) -> Kept:
        """Return the entries that the next decision is made of."""
        history = self._history
        if self._selected is None:
            newest = what_stands(history.newest(history.held, self.lanes))
            return Kept(newest, (history.held,) * (self.lanes.stop - self.lanes.start))
        joined = what_stands(history.newest(min(history.seen - self._selected_at, history.held), self.lanes))
        return _fitting(_joined(self._selected, joined), history, slid=self.placing.positions in {"keep", "mask"})

    def pieces(self, query: Query) -> list[Piece]:
        """Return the contexts of the next decision."""
        history = self._history
        if history.seen == 0:
            empty = query.embedded.new_zeros(len(query.embedded), 0, query.embedded.shape[-1])
            self.decided_from = nothing(empty, query.episode)
            return self.placing.pieces(self.decided_from, Frame(query.embedded, 0, 0, empty))
        frame = Frame(query.embedded, history.start, history.held, history.embedded(self.lanes))
        self.decided_from = self._kept()
        return self.placing.pieces(self.decided_from, frame)

    def decided(self, pieces: list[Piece], decisions: list[Decided]) -> None:
        """Take note of how it was decided: only a stateful context learns from its own rows."""

    def computed(self, held: int) -> list[tuple[tuple[int, int], ...]]:
        """Return (tokens computed, tokens attended to) of every forward of each rollout's last decision."""
        looked = ((self.whole_windows, self.whole_windows),) if self.whole_windows else ()
        if self.left_out:
            each = self.placing.computed(self.left_out - 1, held)
            whole = self.placing.tokens(self.left_out)
            looked = (*looked, (whole, whole), *(((each, each),) * self.left_out))
        tokens = [self.placing.computed(entries, held) for entries in self.decided_from.counts]
        return [((many, many), *looked) for many in tokens]

    def _due(self) -> bool:
        interval, history = self.setup.interval, self._history
        return history.held == history.capacity if interval == "full" else history.seen % interval == 0


def _joined(selected: Kept, joined: Facts) -> Kept:
    """Return what was selected with the transitions since."""
    new = joined["last"].shape[1]
    if new == 0:
        return selected
    counts = tuple(count + new for count in selected.counts)
    if selected.equal is not None:
        return Kept({name: torch.cat([value, joined[name]], dim=1) for name, value in selected.facts.items()}, counts)
    device = joined["last"].device
    start = torch.tensor(selected.counts, device=device)[:, None]
    envs = torch.arange(len(counts), device=device)[:, None]
    place = start + torch.arange(new, device=device)
    facts = {}
    for name, value in selected.facts.items():
        room = torch.cat([value, value.new_zeros(joined[name].shape)], dim=1)
        room[envs, place] = joined[name]
        facts[name] = room
    return Kept(facts, counts)


def _fitting(kept: Kept, history: History, *, slid: bool) -> Kept:
    """Return what fits a full context, the oldest entries given up; with `slid`, only what is in the window."""
    over = [max(0, count - history.capacity) for count in kept.counts]
    if slid:
        valid = torch.arange(kept.facts["last"].shape[1]) < torch.tensor(kept.counts)[:, None]
        gone = ((kept.facts["last"].cpu() < history.start) & valid).sum(dim=1).tolist()
        over = [max(one, other) for one, other in zip(over, gone, strict=True)]
    return kept.without_oldest(tuple(over))
