"""A context of kept keys and values: eviction is real, and a decision computes only what is new.

For causal policies with positions by distance whose query stands last. A transition's keys and values are computed
once, from what the context held when it was added; what was dropped since lives on in them. So this is another
function than computing the kept tokens anew, from the first eviction on; until then they are equal. Rotary keys are
kept unturned and turned to their slots at every decision; others hold no position, and scores are told the distances.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attnscope_model.acting.tape import AttentionTape
from attnscope_model.compression.facts import Facts
from attnscope_model.compression.forward import Decided
from attnscope_model.compression.kept import groups, nothing
from attnscope_model.compression.placing import Placing
from attnscope_model.compression.seen import history_row
from attnscope_model.compression.setup import Compression
from attnscope_model.compression.stateful import StatefulContext
from attnscope_model.compression.views import Query
from attnscope_model.forward.stack import Layer, StackedPolicy


class CachedContext(StatefulContext):
    """The kept keys and values of some rollouts.

    ``reindex``: kept tokens close up, so that the query is as far from them as they are many. ``keep``: they stay as
    far apart as they were, however long ago that is.
    """

    def __init__(self, setup: Compression, placing: Placing, policy: StackedPolicy, lanes: slice) -> None:
        super().__init__(setup, placing, policy.description, lanes)
        self._stack = policy
        self._fresh = 0
        """Entries at the end of every context whose keys and values are not computed yet."""

    def append(self, facts: Facts) -> None:
        """Add a finished transition, whose keys and values the next decision computes.

        Raises
        ------
        ValueError
            The transition before has not been decided after: what it attends to is settled then.
        """
        if self._fresh:
            raise ValueError("expected a decision between two transitions: keys and values are computed there")
        super().append(facts)
        self._fresh = 1

    def decide(self, query: Query) -> Float[Tensor, "env action"]:
        """Return the logits of all rollouts; their entries' keys and values are all kept from then on."""
        self.prepare(query)
        empty = query.embedded.new_zeros(self._count, 0, query.embedded.shape[-1])
        self.decided_from = self._kept() if self._facts else nothing(empty, query.episode)
        logits = query.embedded.new_empty(self._count, self._policy.outputs)
        for entries, some in groups(self.decided_from.counts, logits.device):
            lanes = torch.arange(self._count, device=logits.device) if some is None else some
            for fresh, mine in self._by_fresh(lanes, entries):
                decision = self._decided(mine, entries, fresh, query)
                logits[mine] = decision.logits
                if self.setup.looks and entries and decision.rows is not None:
                    self._look(mine, *history_row(decision.rows, self._policy))
        self._fresh = 0
        return logits

    def computed(self, held: int) -> list[tuple[tuple[int, int], ...]]:  # noqa: ARG002 - whatever a window would hold
        """Return (tokens computed, tokens attended to) of each rollout's last decision."""
        per = self._policy.tokens_per_transition
        new = per + 1 if self._seen else 1
        return [((new, entries * per + 1),) for entries in self.decided_from.counts]

    def _by_fresh(self, lanes: Int[Tensor, " env"], entries: int) -> list[tuple[int, Int[Tensor, " part"]]]:
        """Return the rollouts whose newest entry is to be computed and those that dropped it, with how many are new."""
        if not self._fresh or not entries:
            return [(0, lanes)]
        new = self._facts["last"][lanes, entries - 1] == self._seen - 1
        parts = [(1, lanes[new]), (0, lanes[~new])]
        return [(fresh, part) for fresh, part in parts if len(part)]

    def _decided(self, lanes: Int[Tensor, " env"], entries: int, fresh: int, query: Query) -> Decided:
        per = self._policy.tokens_per_transition
        new = query.embedded[lanes]
        if fresh:
            own = self._facts["embedded"][lanes, entries - 1].view(len(lanes), per, -1)
            new = torch.cat([own, new], dim=1)
        slots = self._slots(lanes, entries)
        with AttentionTape(self._stack) as tape:
            logits = self._forward(new, lanes, entries - fresh, slots)
        return Decided(logits.float(), tape.rows)

    def _slots(self, lanes: Int[Tensor, " env"], entries: int) -> Int[Tensor, "env token"]:
        """Return the slots of every token, the query's last; the oldest entry stands at slot 0."""
        per = self._policy.tokens_per_transition
        if self.placing.positions == "reindex":
            return torch.arange(entries * per + 1, device=lanes.device).expand(len(lanes), -1)
        now = torch.full((len(lanes), 1), self._seen, device=lanes.device)
        if not entries:
            return torch.zeros_like(now)
        place = torch.cat([self._facts["last"][lanes, :entries], now], dim=1)
        place = (place - place[:, :1]) * per
        slots = place[:, :-1, None] + torch.arange(per, device=lanes.device)
        return torch.cat([slots.flatten(1), place[:, -1:]], dim=1)

    def _forward(
        self, new: Float[Tensor, "env new width"], lanes: Int[Tensor, " env"], old: int, slots: Int[Tensor, "env token"]
    ) -> Float[Tensor, "env action"]:
        """Return the logits of the last of `new`, the query; the others' keys and values are kept."""
        at_zero = torch.zeros(new.shape[:2], dtype=torch.int64, device=new.device)
        x = self._stack.place(new, at_zero)
        *early, last = self._stack.layers()
        for number, layer in enumerate(early):
            queries, keys, values = layer.project(x, at_zero)
            x = layer.finish(x, self._attended(number, layer, queries, keys, values, lanes, old, slots))
        keys, values = last.memory(x, at_zero)
        query = last.query(x[:, -1:], at_zero[:, -1:])
        x = last.finish(x[:, -1:], self._attended(len(early), last, query, keys, values, lanes, old, slots))
        return self._stack.read(x[:, 0])

    def _attended(
        self,
        number: int,
        layer: Layer,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        lanes: Tensor,
        old: int,
        slots: Tensor,
    ) -> Float[Tensor, "env head new size"]:
        """Keep the new entry's keys and values, and attend to all that are kept and to the new ones."""
        per = self._policy.tokens_per_transition
        whole = []
        for name, fresh in (("keys", keys), ("values", values)):
            room = self._facts.get(f"{name}.{number}") if self._facts else None
            if room is not None and fresh.shape[2] > 1:
                room[lanes, old] = fresh[:, :, :-1].transpose(1, 2).flatten(1)
            kept = None if room is None or not old else _unflat(room[lanes, :old], keys, per)
            whole.append(fresh if kept is None else torch.cat([kept, fresh], dim=2))
        turned = layer.turned(whole[0], slots)
        queries = layer.turned(queries, slots[:, -queries.shape[2] :])
        return layer.attention.extend(queries, turned.transpose(-2, -1), whole[1].transpose(-2, -1), slots)

    def _computed_once(self, embedded: Tensor) -> Facts:
        """Return room for a new entry's keys and values in every layer."""
        names = [f"{name}.{layer}" for layer in range(self._policy.layers) for name in ("keys", "values")]
        return {name: torch.zeros_like(embedded) for name in names}


def _unflat(rows: Float[Tensor, "env entry all"], like: Tensor, per: int) -> Float[Tensor, "env head token size"]:
    """Return rows of entries as keys or values."""
    heads, size = like.shape[1], like.shape[3]
    return rows.reshape(len(rows), rows.shape[1] * per, heads, size).transpose(1, 2)
