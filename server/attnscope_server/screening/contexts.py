"""Contexts of many arms at many decisions, in as few forwards as there are lengths; equal ones are computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attnscope_model.compression.forward import FIRST, Piece, contexts_at_once, tiled
from attnscope_model.compression.kept import tokens_of
from attnscope_model.compression.sharing import CLOSE, pads
from attnscope_server.screening.keeping import Frame, Kept
from attnscope_storage.wire.specifications.arms import PositionPolicy


@dataclass(frozen=True)
class Placed:
    """The tokens that an arm keeps, and their positions."""

    kept: Kept
    positions: PositionPolicy


class Contexts:
    """The contexts of the decisions of a frame.

    Parameters
    ----------
    frame
        The decisions. Their uncompressed logits are computed at once, and serve every arm that keeps all.
    before_forward
        Called before every forward; stops everything by raising.
    """

    def __init__(self, frame: Frame, before_forward: Callable[[], None] = lambda: None) -> None:
        self._before_forward = before_forward
        self._frame = frame
        self._block = frame.block
        self._query_first = frame.block.policy.description.query_slot == "first"
        whole = Placed(Kept(frame.window, frame.window), "reindex")
        everyone = torch.arange(len(frame.moments), device=frame.block.device)
        self.full = self._computed([whole], torch.zeros_like(everyone), everyone)
        """Logits of the uncompressed decisions."""

    def logits(self, arms: Sequence[Placed]) -> Float[Tensor, "arm decision action"]:
        """Return the logits of every arm's decisions; where nothing is dropped they are the uncompressed ones."""
        found = self.full.expand(len(arms), *self.full.shape).clone()
        arm, decision, twin = self._different(arms)
        if len(arm):
            firsts, which = np.unique(twin.cpu().numpy(), return_inverse=True)
            alike = self._computed(arms, arm[firsts], decision[firsts])
            found[arm, decision] = alike[torch.from_numpy(which).to(alike.device)]
        return found

    def _different(self, arms: Sequence[Placed]) -> tuple[Tensor, Tensor, Tensor]:
        """Return (arm, decision) of every context that is not the uncompressed one, and its first equal."""
        todo: list[tuple[int, int]] = []
        twins: list[int] = []
        known: dict[tuple[str, int, bytes], int] = {}
        for number, arm in enumerate(arms):
            changed = ~self._whole(arm)
            packed = np.packbits(arm.kept.stands.cpu().numpy(), axis=1)
            pure = arm.kept.pure.tolist()
            for decision in torch.nonzero(changed)[:, 0].tolist():
                place = len(todo)
                todo.append((number, decision))
                key = (arm.positions, decision, packed[decision].tobytes())
                twins.append(known.setdefault(key, place) if pure[decision] else place)
        device = self._block.device
        pairs = torch.tensor(todo, dtype=torch.int64, device=device).view(-1, 2)
        return pairs[:, 0], pairs[:, 1], torch.tensor(twins, dtype=torch.int64, device=device)

    def _whole(self, arm: Placed) -> Bool[Tensor, " decision"]:
        """Return where an arm's context is the uncompressed one."""
        same = (arm.kept.stands == self._frame.window).all(dim=1) & arm.kept.pure
        return same & (self._frame.held == self._block.capacity) if arm.positions == "right_align" else same

    def _computed(self, arms: Sequence[Placed], arm: Tensor, decision: Tensor) -> Float[Tensor, "context action"]:
        """Return the logits of some contexts."""
        stands = torch.stack([one.kept.stands for one in arms])[arm, decision]
        counts = stands.sum(dim=1)
        logits = torch.empty(len(arm), self._block.policy.description.outputs, device=counts.device)
        policies: list[PositionPolicy] = [one.positions for one in arms]
        for positions in dict.fromkeys(policies):
            of = torch.tensor([one == positions for one in policies], device=counts.device)
            mine = torch.nonzero(of[arm])[:, 0]
            mine = mine[counts[mine].argsort(descending=True, stable=True)]
            for some in self._tiles(mine, counts, packed=positions == "reindex"):
                self._before_forward()
                piece = self._piece(arms, arm[some], decision[some], stands[some], positions)
                logits[some] = tiled(self._block.policy, piece).logits
        return logits

    def _tiles(self, order: Tensor, counts: Tensor, *, packed: bool) -> Iterator[Tensor]:
        """Yield contexts that are computed together; `order` has the longest first."""
        padded = packed and pads(self._block.policy)
        lengths = counts[order].tolist()
        first = 0
        while first < len(order):
            longest = lengths[first] * self._block.per + 1
            most = contexts_at_once(longest) if order.device.type == "cpu" else len(order)
            last = first + 1
            least = CLOSE * lengths[first] if padded else lengths[first]
            while last < len(order) and last - first < most and lengths[last] >= least:
                last += 1
            yield order[first:last]
            first = last

    def _piece(
        self, arms: Sequence[Placed], arm: Tensor, decision: Tensor, stands: Tensor, positions: PositionPolicy
    ) -> Piece:
        """Return contexts, the longest first, as one piece."""
        block, frame = self._block, self._frame
        counts = stands.sum(dim=1)
        longest, equal = int(counts[0]), int(counts[0]) == int(counts[-1])
        column = (~stands).to(torch.int8).argsort(dim=1, stable=True)[:, :longest]
        moments = frame.moments.only(decision)
        transition = frame.base[decision][:, None] + column
        embedded = block.taken("embedded", moments, transition.clamp(max=block.steps - 1))
        for one in sorted(set(arm.tolist())):
            mixed, mine = arms[one].kept.mixed, torch.nonzero(arm == one)[:, 0]
            if mixed is not None:
                embedded[mine] = mixed[decision[mine][:, None], column[mine]]
        query = block.queries[moments.rollout, moments.step][:, None]
        if not equal:
            return self._padded(embedded, query, counts)
        tokens = tokens_of(embedded, query, query_first=self._query_first)
        if positions == "keep":
            return Piece(None, tokens, self._slots(transition - frame.start[decision][:, None], frame.held[decision]))
        if positions == "right_align" and longest < block.capacity:
            return Piece(None, tokens, self._aligned(longest, len(tokens)))
        return Piece(None, tokens)

    def _padded(self, embedded: Tensor, query: Tensor, counts: Tensor) -> Piece:
        """Return contexts of a causal policy whose queries stand at their own ends."""
        tokens = tokens_of(embedded, query, query_first=False)
        at = counts * self._block.per
        tokens[torch.arange(len(tokens), device=tokens.device), at] = query[:, 0]
        return Piece(None, tokens, FIRST, None, at + 1)

    def _slots(self, place: Int[Tensor, "env entry"], held: Int[Tensor, " env"]) -> Int[Tensor, "env token"]:
        """Return the slots of entries at these places of their windows, and the queries'."""
        per, query_first = self._block.per, self._query_first
        within = torch.arange(per, device=place.device)
        slots = (place[:, :, None] * per + within).flatten(1) + int(query_first)
        query: Tensor = torch.zeros_like(held)[:, None] if query_first else held[:, None] * per
        return torch.cat([query, slots] if query_first else [slots, query], dim=1)

    def _aligned(self, count: int, envs: int) -> int | Int[Tensor, "env token"]:
        """Return the slots of contexts that are packed before the last slot of a full one."""
        gap = (self._block.capacity - count) * self._block.per
        if not self._query_first:
            return FIRST + gap
        slots = torch.arange(1, count * self._block.per + 1, device=self._block.device) + gap
        return torch.cat([slots.new_zeros(1), slots]).expand(envs, -1)
