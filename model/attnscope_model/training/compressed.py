"""The training forward of compressed contexts: some decisions of each window, each over what a rule keeps for it.

A window is a rollout that begins with its first transition, within an episode where it was cut there. Contexts are
made by the code that makes them at inference (`attnscope_model.compression`), so that a decision here is the one that
the compressed policy would take there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.compression.facts import Facts, transition_facts
from attnscope_model.compression.forward import Piece
from attnscope_model.compression.history import History
from attnscope_model.compression.placing import Placing
from attnscope_model.compression.setup import Compression
from attnscope_model.compression.sharing import decide
from attnscope_model.compression.stateless import StatelessContext
from attnscope_model.compression.views import Query
from attnscope_model.compression.whole import WholeWindows
from attnscope_model.forward.stack import StackedPolicy
from attnscope_model.strategies.learned import Latents
from attnscope_model.training.windows import Batch, drawn_steps


@dataclass(frozen=True)
class Under:
    """A compression that a policy is trained under."""

    compression: Compression
    horizon: int
    """Steps of an episode."""
    decisions: int = 24
    """Decisions of each window that have a loss, spread over it; each has a context of its own."""

    def steps(self, seed: int, step: int, length: int) -> tuple[int, ...]:
        """Return the steps of the windows of a training step that have a loss: one drawn from each equal part."""
        return drawn_steps(seed, step, length, self.decisions)


def why_untrainable(compression: Compression) -> str | None:
    """Return why no policy can be trained under a compression; None where one can."""
    return _why_untrainable_rule(compression) or _why_untrainable_context(compression)


def _why_untrainable_rule(compression: Compression) -> str | None:
    rule = compression.rule
    if isinstance(rule, Latents):
        return "latents are packed by a network that is trained with its policy, not by a rule"
    if compression.looks:
        return (
            f"{rule.name} chooses by the attention of decisions, which changes with every training step: it can be "
            "tried on a trained policy, not trained under"
        )
    if compression.leaves_out or rule.oracle_reason is not None:
        return f"{rule.name} is an oracle: no compressed policy could apply it"
    return None


def _why_untrainable_context(compression: Compression) -> str | None:
    if compression.budget is None:
        return "without a budget nothing is left out"
    if compression.memory != "stateless" or compression.path != "recompute":
        return "contexts that lose what they drop, or keep its keys and values, are not trained"
    if compression.interval == "full":
        return "a context that is shortened only when it is full differs at one decision of a window"
    if compression.positions == "mask":
        return "mask is an oracle: it computes what it leaves out"
    return None


class _Recorded(History):
    """Windows that are all known, read as if they were being acted in."""

    def __init__(self, facts: Facts, capacity: int) -> None:
        super().__init__(len(facts["reward"]), capacity)
        self._rooms = facts

    def stand(self, step: int) -> None:
        """Be what is known before a step."""
        self.seen = self._end = step


def compressed_logits(
    policy: StackedPolicy, batch: Batch, under: Under, steps: Sequence[int], first_lane: int = 0
) -> Float[Tensor, "window step action"]:
    """Return the logits of every window's decisions at these steps, each over its compressed context.

    Parameters
    ----------
    steps
        Steps of the window, the number of transitions before each decision, rising.
    first_lane
        Number of the first window as a rollout: rules that draw at random draw differently for each.
    """
    setup, device = under.compression, batch.actions.device
    history = _Recorded(_facts(policy, batch, under.horizon), policy.description.transitions)
    whole = WholeWindows(policy, history)
    windows, numbers = len(batch.actions), batch.numbers
    lanes = torch.arange(first_lane, first_lane + windows, device=device)

    def query(step: int) -> Query:
        observation = batch.observations[:, step]
        episode = numbers[:, step] // under.horizon
        embedded = policy.stamp(policy.embed_query(observation), numbers[:, step])
        return Query(embedded, observation.float(), episode, lanes)

    interval = setup.interval
    if interval == "full":
        raise ValueError(why_untrainable(setup))
    placing = Placing(policy.description, setup.positions)
    pieces: list[Piece] = []
    ends = []
    for step in steps:
        context = StatelessContext(setup, placing, history, slice(0, windows))
        selected = step - step % interval
        history.stand(selected)
        context.prepare(query(selected), whole)
        history.stand(step)
        pieces += context.pieces(query(step))
        ends.append(len(pieces))
    logits = [decided.logits for decided in decide(policy, pieces)]
    every = [_in_order(pieces[low:high], logits[low:high]) for low, high in zip([0, *ends[:-1]], ends, strict=True)]
    return torch.stack(every, dim=1)


def _in_order(pieces: Sequence[Piece], logits: Sequence[Tensor]) -> Float[Tensor, "window action"]:
    """Return the logits of pieces by the windows that they are of."""
    if len(pieces) == 1:
        return logits[0]
    lanes = torch.cat([piece.lanes for piece in pieces if piece.lanes is not None])
    return torch.cat(list(logits))[lanes.argsort()]


def _facts(policy: StackedPolicy, batch: Batch, horizon: int) -> Facts:
    """Return the facts of all transitions of every window but the last, which no decision sees."""
    windows, steps = batch.actions.shape
    past = steps - 1
    episode = (batch.numbers[:, :-1] // horizon).flatten()  # a window may begin within an episode
    flat = transition_facts(
        policy,
        batch.observations[:, :-1].flatten(0, 1),
        batch.actions[:, :-1].flatten(),
        batch.rewards[:, :-1].flatten(),
        batch.next_observations[:, :-1].flatten(0, 1),
        episode,
        batch.numbers[:, :-1].flatten(),
    )
    facts = {name: value.view(windows, past, *value.shape[1:]) for name, value in flat.items()}
    number = torch.arange(past, device=batch.actions.device).expand(windows, -1)
    return facts | {"first": number, "last": number}
