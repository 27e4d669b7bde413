"""Contexts of latents and the transitions since: the rule that packs by a network, as it acts in a trial."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.acting.packing import OnceHistory, PackedHistory
from attnscope_model.compression.facts import Facts
from attnscope_model.compression.forward import contexts_at_once
from attnscope_model.compression.installed import made_compressor
from attnscope_model.compression.kept import Kept, nothing
from attnscope_model.compression.setup import Compression
from attnscope_model.compression.views import Query
from attnscope_model.errors import CompressionUnfitError
from attnscope_model.forward.compressing import CompressingPolicy, LearnedCompressor
from attnscope_model.forward.policy import Policy
from attnscope_model.strategies.learned import Latents


def _compressor(rule: Latents, policy: Policy) -> LearnedCompressor:
    """Return what packs: an installed compressor that the rule names, else the policy's own."""
    if rule.by:
        return made_compressor(rule.by, policy)
    if isinstance(policy, CompressingPolicy):
        return policy.compressor
    raise CompressionUnfitError("latents need a policy that was trained with a network that packs")


def decisions_between(rule: Latents, policy: Policy) -> int:
    """Return the decisions from one compression to the next, once there are latents: the work repeats after so many.

    1 where everything older is packed anew at each decision, or where nothing says when to pack.
    """
    if rule.once:
        return 1
    compressor, per = _compressor(rule, policy), policy.description.tokens_per_transition
    joined = range(1, policy.description.transitions + 1)
    full = next((count for count in joined if compressor.when(count * per, packed=True)), rule.newest + 1)
    return max(1, full - rule.newest)


class PackedContext:
    """The packed contexts of some rollouts, which all go in step.

    The first entry is all latents together, which stand for everything that was ever packed; the others are
    transitions.

    Raises
    ------
    CompressionUnfitError
        The policy has no network that packs, or no room for so many newest transitions beside its latents.
    """

    def __init__(self, setup: Compression, policy: Policy, lanes: slice) -> None:
        if not isinstance(setup.rule, Latents):
            raise CompressionUnfitError(f"{setup.rule.name} packs nothing")
        self._compressor = _compressor(setup.rule, policy)
        self.lanes, self.setup, self.records = lanes, setup, False
        self.decided_from = Kept({}, ())
        """The entries that the last decision was made of."""
        self._policy, self._count = policy, lanes.stop - lanes.start
        self._per = policy.description.tokens_per_transition
        if setup.rule.once:
            self._history: PackedHistory = OnceHistory(self._compressor, self._per, policy.description.packed_at)
        else:
            self._history = PackedHistory(self._compressor, self._per, newest=setup.rule.newest)
        self._work = 0.0

    def append(self, facts: Facts) -> None:
        """Add a finished transition, and pack where it is time to."""
        embedded = facts["embedded"]
        compression = self._history.append(embedded.view(len(embedded), self._per, -1))
        sources = 0 if compression is None else compression.sources
        self._work = self._compressor.flops(sources) if sources else 0.0

    def decide(self, query: Query) -> Float[Tensor, "env action"]:
        """Return the logits of all rollouts.

        Raises
        ------
        CompressionUnfitError
            What packs let more tokens join than a context holds.
        """
        most = self._policy.description.context_length
        if self._history.length > most:
            raise CompressionUnfitError(
                f"{self.setup.rule}: a context of {self._history.length} tokens, and the policy's hold {most}: it "
                "packs too late, or leaves too many of the newest transitions"
            )
        self.decided_from = self._entries(query)
        tokens, summaries = self._history.tokens(query.embedded), self._history.summaries
        tiles = torch.split(tokens, contexts_at_once(tokens.shape[1]))
        return torch.cat([self._decided(tile, summaries).float() for tile in tiles])

    def computed(self, held: int) -> list[tuple[tuple[int, int], ...]]:  # noqa: ARG002 - whatever a window would hold
        """Return (tokens computed, tokens attended to) of each rollout's last decision."""
        tokens = self._history.length
        return [((tokens, tokens),)] * self._count

    def beside(self) -> float:
        """Return the operations of the compression that came before the last decision, of each rollout."""
        return self._work

    def _decided(self, tokens: Tensor, summaries: int) -> Tensor:
        policy = self._policy
        logits: Tensor = policy(tokens, summaries) if isinstance(policy, CompressingPolicy) else policy(tokens)
        return logits

    def _entries(self, query: Query) -> Kept:
        """Return the entries of the next context; the latents have the range of all that was packed."""
        history, count = self._history, self._count
        if history.length == 1:
            return nothing(query.embedded.new_zeros(count, 0, query.embedded.shape[-1]), query.episode)
        device, latents = query.episode.device, int(history.summaries > 0)
        own = torch.arange(history.start, history.seen, device=device)
        first = torch.cat([own.new_zeros(latents), own])
        last = torch.cat([own.new_full((latents,), history.start - 1), own])
        facts = {"first": first.expand(count, -1), "last": last.expand(count, -1)}
        return Kept(facts, (len(first),) * count, (history.length - 1,) * count)
