"""Influence on a decision beyond attention weights: value norms, attention rollout, leaving transitions out.

Weights say where a head looked; the norms say how much came from there, the rollout how layers compose, and leaving a
transition out what the action would have been without it. They often disagree, which is why all are offered.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attnscope_model.acting.outputs import Output, output_of
from attnscope_model.acting.replay import Replayed, history_tokens, joined, query_tokens
from attnscope_model.errors import NotReplayableError
from attnscope_model.forward.compressing import CompressingPolicy
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.stack import StackedPolicy
from attnscope_storage.wire import Positions

BATCH_BYTES: Final = 32 * 2**20
"""Bytes of attention scores of one layer that a batch of leave-one-out contexts may have."""


def value_weighted(policy: Policy, replayed: Replayed) -> Float[Tensor, "layer head query slot"]:
    """Return attention weighted by what it moves, ``‖A_ij f(x_j)‖`` (Kobayashi et al., 2020).

    ``f(x_j) = (x_j W_V + b_V) W_O`` of one head: the value's bias is part of it, the output's bias, which no slot
    brings, is not; the residual and the norms around attention are left out. Rows sum to no fixed number.

    Raises
    ------
    NotReplayableError
        The policy is no stack of layers that say their output map.
    """
    stacked = _stack(policy, "value-weighted attention")
    norms = []
    x = stacked.place(replayed.tokens)
    opened = policy.opening(replayed.summaries) if isinstance(policy, CompressingPolicy) else nullcontext()
    with opened:
        for number, layer in enumerate(stacked.layers(), start=1):
            _, values = layer.memory(x)
            heads, size = values.shape[1], values.shape[-1]
            by_head = layer.output().view(-1, heads, size).permute(1, 2, 0)  # [head, size, width]
            norms.append((values[0] @ by_head).norm(dim=-1))
            if number < len(replayed.maps):
                x = layer.forward(x)
    return replayed.maps * torch.stack(norms)[:, :, None]


def attention_rollout(maps: Float[Tensor, "layer head query slot"]) -> Float[Tensor, "layer query slot"]:
    """Return how much of each input token reaches each token after every layer (Abnar & Zuidema, 2020).

    ``R_l = (½ Ā_l + ½ I) R_{l−1}`` with Ā the mean over heads and ``R_0 = I``: the residual is taken to carry half.
    Ignores values and the feed-forward parts; under a causal mask it drifts to early tokens. Rows sum to 1.
    """
    same = torch.eye(maps.shape[-1], dtype=maps.dtype, device=maps.device)
    rolled, through = [], same
    for layer in maps.mean(dim=1):
        through = (layer + same) / 2 @ through
        rolled.append(through)
    return torch.stack(rolled)


def leave_one_out(
    policy: Policy, replayed: Replayed, transitions: Int[Tensor, " left_out"], positions: Positions
) -> Float[Tensor, " left_out"]:
    """Return ``KL(π_full ‖ π_without)`` in nats for each transition left out of the context.

    π is the distribution of actions before temperature; that of several branches is their product. Where the head
    gives an action vector without a distribution, it is the scaled distance of the two vectors.

    Parameters
    ----------
    transitions
        Places in the window, 0 is the oldest.
    positions
        ``reindex``: the context is built again from what is left, as the policy's own loop would build it, so every
        later token and the query move down. ``mask``: every token keeps its place, and no other token may attend to
        those left out; where the newest transition is what decides, the newest that is left does.

    Raises
    ------
    NotReplayableError
        ``mask`` with a policy that is no stack of layers.
    """
    output, full = output_of(policy.description), replayed.logits.double()
    slots = replayed.tokens.shape[1]
    batch = max(1, BATCH_BYTES // (4 * policy.description.heads * slots * slots))
    if len(transitions) == 0:
        return torch.zeros(0, device=full.device)
    if positions == "mask":
        return _hiding(_stack(policy, "leaving out by mask"), output, replayed, transitions, batch).float()
    contexts = _without(policy, replayed, transitions, batch)
    return torch.cat([output.influence(full, policy(tokens)) for tokens in contexts]).float()


def _without(
    policy: Policy, replayed: Replayed, transitions: Int[Tensor, " left_out"], batch: int
) -> Iterator[Float[Tensor, "env slot width"]]:
    """Yield batches of contexts, each without one transition."""
    device = replayed.tokens.device
    history = history_tokens(policy, replayed.moment, device)
    query = query_tokens(policy, replayed.moment, device)
    kept = torch.arange(max(0, len(history) - 1), device=device)
    for part in torch.split(transitions, batch):
        picks = kept + (kept >= part[:, None])  # [left_out, kept]: every place but one
        yield joined(policy.description, history[picks], query)


def _hiding(
    policy: StackedPolicy,
    output: Output,
    replayed: Replayed,
    transitions: Int[Tensor, " left_out"],
    batch: int,
) -> Float[Tensor, " left_out"]:
    """Return the influences of contexts in which nobody else sees one transition's tokens."""
    full = replayed.logits.double()
    description, slots = policy.description, replayed.tokens.shape[1]
    per, query_first = description.tokens_per_transition, description.query_slot == "first"
    first = per * transitions + (1 if query_first else 0)
    inside = torch.arange(slots, device=first.device) - first[:, None]
    left_out = (inside >= 0) & (inside < per)
    # Where the query stands first, the newest transition decides; with it left out, the newest that is left does.
    newest = left_out[:, -1]
    found = full.new_empty(len(transitions))
    for places, deciding in ((~newest, slots - 1), (newest, slots - 1 - per)):
        parts = torch.split(left_out[places], batch) if bool(places.any()) else ()
        moved = [output.influence(full, _masked(policy, replayed.tokens, part, deciding)) for part in parts]
        found[places] = torch.cat([full.new_empty(0), *moved])
    return found


def _masked(
    policy: StackedPolicy, tokens: Float[Tensor, "1 slot width"], left_out: Bool[Tensor, "env slot"], deciding: int
) -> Float[Tensor, "env action"]:
    """Return the logits at a slot of contexts in which nobody but they themselves sees the tokens left out."""
    slots = tokens.shape[1]
    hidden = left_out[:, None, None, :] & ~left_out[:, None, :, None]
    if policy.description.causal:
        hidden = hidden | torch.ones(slots, slots, dtype=torch.bool, device=hidden.device).triu(1)
    x = policy.place(tokens).expand(len(left_out), -1, -1)
    *early, last = policy.layers()
    for layer in early:
        queries, keys, values = layer.project(x)
        added = layer.attention.added(0, slots, slots, x.device)
        x = layer.finish(x, _unseen(queries, keys, hidden, added) @ values)
    keys, values = last.memory(x)
    token = x[:, deciding : deciding + 1]
    added = last.attention.added(0, slots, slots, x.device)
    of_token = None if added is None else added[..., deciding : deciding + 1, :]
    row = _unseen(last.query(token, deciding), keys, hidden[:, :, deciding : deciding + 1], of_token)
    return policy.read(last.finish(token, row @ values)[:, 0])


def _unseen(
    queries: Float[Tensor, "env head query size"],
    keys: Float[Tensor, "env head slot size"],
    hidden: Bool[Tensor, "env 1 query slot"],
    added: Float[Tensor, "head query slot"] | None,
) -> Float[Tensor, "env head query slot"]:
    """Return attention that gives the hidden slots nothing."""
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
    if added is not None:
        scores = scores + added
    return torch.softmax(scores.masked_fill(hidden, -math.inf), dim=-1)


def _stack(policy: Policy, what: str) -> StackedPolicy:
    if not isinstance(policy, StackedPolicy):
        raise NotReplayableError(
            f"{what} needs a policy whose layers say their parts; the family {policy.description.family} does not"
        )
    return policy
