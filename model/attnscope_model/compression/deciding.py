"""The compressed actor: batches of rollouts, a compression for each, and their shared forwards."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from attnscope_model.acting.context import Actions, ContextWindow, Observations, actions_taken, features
from attnscope_model.compression.cached import CachedContext
from attnscope_model.compression.facts import transition_facts
from attnscope_model.compression.forward import Decided, Piece, tiled
from attnscope_model.compression.history import History
from attnscope_model.compression.kept import Kept
from attnscope_model.compression.packed import PackedContext
from attnscope_model.compression.placing import Placing
from attnscope_model.compression.setup import Compression, unfit
from attnscope_model.compression.sharing import decide
from attnscope_model.compression.stateful import StatefulContext
from attnscope_model.compression.stateless import StatelessContext
from attnscope_model.compression.views import Query
from attnscope_model.compression.whole import WholeWindows
from attnscope_model.errors import CompressionUnfitError
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.stack import StackedPolicy
from attnscope_model.strategies.learned import Latents

Numbers = Shaped[np.ndarray, " env"] | Shaped[Tensor, " env"]
"""A number for every rollout."""


class PlainDecider:
    """A batch of uncompressed contexts, each computed anew at every decision: what compressed ones are paired with."""

    def __init__(self, policy: Policy, envs: int, device: torch.device) -> None:
        self.window = ContextWindow(policy, envs, device)
        self._policy = policy

    def decide(self, observation: Observations) -> Float[Tensor, "env action"]:
        """Return the logits of the decision at an observation."""
        return tiled(self._policy, Piece(None, self.window.tokens(observation))).logits

    def pass_by(self, observation: Observations) -> None:
        """Go on to the next transition without a decision."""

    def copy(self) -> PlainDecider:
        """Return contexts that go on from here by themselves."""
        return deepcopy(self, {id(self._policy): self._policy})

    def append(
        self,
        observation: Observations,
        action: Actions,
        reward: Numbers,
        next_observation: Observations,
        ended: Numbers,  # noqa: ARG002 - a plain context does not know episodes
    ) -> None:
        """Add a finished transition."""
        self.window.append(observation, action, reward, next_observation)


class CompressedDecider:
    """Batches of rollouts that act side by side, each batch under its own compression.

    Parameters
    ----------
    policy
        What decides.
    setups
        The compression of each batch.
    lanes
        A number for every rollout of one batch, the same wherever it stands; every batch has the same rollouts.
    device
        Where they live.

    Raises
    ------
    CompressionUnfitError
        A compression does not fit the policy.
    """

    def __init__(
        self, policy: Policy, setups: Sequence[Compression], lanes: Int[Tensor, " rollout"], device: torch.device
    ) -> None:
        description = policy.description
        for setup in setups:
            reason = unfit(description, setup.positions, setup.memory, setup.path)
            if reason is not None:
                raise CompressionUnfitError(reason)
        self._policy = policy
        self._device = device
        each = len(lanes)
        self._lanes = lanes.to(device).repeat(len(setups))
        self._episode = torch.zeros_like(self._lanes)
        self._capacity = description.transitions
        self._history = History(each * len(setups), self._capacity)
        self._stores = any(setup.memory == "stateless" for setup in setups)
        self._whole = WholeWindows(policy, self._history)
        self.seen = 0
        """Transitions so far."""
        self.contexts = [
            self._context(setup, slice(number * each, (number + 1) * each)) for number, setup in enumerate(setups)
        ]

    @property
    def held(self) -> int:
        """Transitions that an uncompressed context would hold."""
        return min(self.seen, self._capacity)

    def decide(self, observation: Observations) -> Float[Tensor, "env action"]:
        """Return the logits of the decisions at the observations of all rollouts, batch after batch."""
        query = self._asked(observation)
        places = range(len(self.contexts))
        logits: dict[int, Tensor] = {}
        for records in (False, True):
            shared = {place: context for place, context in self._recomputed().items() if context.records == records}
            logits |= dict(zip(shared, self._decided(list(shared.values()), query, rows=records), strict=True))
        for place in places:
            context = self.contexts[place]
            if isinstance(context, CachedContext | PackedContext):
                logits[place] = context.decide(query.of(context.lanes))
        return torch.cat([logits[place] for place in places])

    def pass_by(self, observation: Observations) -> None:
        """Go on to the next transition without a decision; later decisions are as if this one had been taken."""
        query = self._asked(observation)
        self._decided([context for context in self._recomputed().values() if context.records], query, rows=True)
        for context in self.contexts:
            if isinstance(context, CachedContext):
                context.decide(query.of(context.lanes))
            elif not isinstance(context, PackedContext) and not context.records:
                context.pass_by(query.of(context.lanes), self._whole)

    def _recomputed(self) -> dict[int, StatelessContext | StatefulContext]:
        """Return the contexts that are computed anew at every decision and share forwards, by their places."""
        every = enumerate(self.contexts)
        return {index: one for index, one in every if not isinstance(one, CachedContext | PackedContext)}

    def _decided(
        self, contexts: list[StatelessContext | StatefulContext], query: Query, *, rows: bool
    ) -> list[Float[Tensor, "env action"]]:
        """Return the logits of some batches, whose contexts of equal length share their forwards."""
        parts = []
        for context in contexts:
            mine = query.of(context.lanes)
            context.prepare(mine, self._whole)
            parts.append(context.pieces(mine))
        found = iter(decide(self._policy, [piece for part in parts for piece in part], rows=rows))
        logits = []
        for context, part in zip(contexts, parts, strict=True):
            decisions = [next(found) for _ in part]
            context.decided(part, decisions)
            logits.append(_scattered(part, decisions, context.lanes.stop - context.lanes.start))
        return logits

    def append(
        self,
        observation: Observations,
        action: Actions,
        reward: Numbers,
        next_observation: Observations,
        ended: Numbers,
    ) -> None:
        """Add a finished transition to every rollout; `ended`: whether its episode did."""
        facts = transition_facts(
            self._policy,
            features(observation, self._device),
            actions_taken(action, self._device),
            torch.as_tensor(reward).to(self._device, torch.float32),
            features(next_observation, self._device),
            self._episode,
            self.seen,
        )
        self.seen += 1
        if self._stores:
            self._history.append(facts)
        for context in self.contexts:
            context.append({name: value[context.lanes] for name, value in facts.items()})
        self._episode = self._episode + torch.as_tensor(ended).to(self._device, torch.int64)

    def copy(self) -> CompressedDecider:
        """Return contexts that go on from here by themselves."""
        return deepcopy(self, {id(self._policy): self._policy})

    def kept(self) -> list[Kept]:
        """Return the entries that the last decision of every batch was made of."""
        return [context.decided_from for context in self.contexts]

    def computed(self) -> list[tuple[tuple[int, int], ...]]:
        """Return (tokens computed, tokens attended to) of every forward of each rollout's last decision.

        The decision's own, and where a strategy looked at whole windows, theirs; batch after batch.
        """
        return [work for context in self.contexts for work in context.computed(self.held)]

    def beside(self) -> list[float]:
        """Return the operations of compressors that came with each rollout's last decision."""
        each = [context.beside() if isinstance(context, PackedContext) else 0.0 for context in self.contexts]
        return [work for work, one in zip(each, self.contexts, strict=True) for _ in range(*one.lanes.indices(2**62))]

    def _context(self, setup: Compression, lanes: slice) -> StatelessContext | StatefulContext | PackedContext:
        if isinstance(setup.rule, Latents):
            return PackedContext(setup, self._policy, lanes)
        placing = Placing(self._policy.description, setup.positions)
        if setup.path == "cached":
            if not isinstance(self._policy, StackedPolicy):
                raise CompressionUnfitError("kept keys and values need a policy whose layers say their parts")
            if setup.rule.pooling:
                raise CompressionUnfitError("kept keys and values of several tokens have no mean that a forward gives")
            return CachedContext(setup, placing, self._policy, lanes)
        if setup.memory == "stateful":
            return StatefulContext(setup, placing, self._policy.description, lanes)
        return StatelessContext(setup, placing, self._history, lanes)

    def _asked(self, observation: Observations) -> Query:
        seen = features(observation, self._device)
        query = self._policy.stamp(self._policy.embed_query(seen), self.seen)
        self._whole.ask(query)
        return Query(query, seen.float(), self._episode, self._lanes)


def _scattered(pieces: list[Piece], decisions: list[Decided], envs: int) -> Float[Tensor, "env action"]:
    """Return the logits of all rollouts of a batch, in order."""
    if pieces[0].lanes is None:
        return decisions[0].logits
    logits = decisions[0].logits.new_empty(envs, decisions[0].logits.shape[1])
    for piece, decision in zip(pieces, decisions, strict=True):
        logits[piece.lanes] = decision.logits
    return logits
