"""The optimiser's loop over windows: AdamW, warm-up and cosine, to the same bits whether or not it was interrupted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnscope_model.families.ad import ADPolicy
from attnscope_model.families.packing import TransformerCompressor
from attnscope_model.families.tokens import WholeTransitions
from attnscope_model.forward.compressing import CompressingPolicy
from attnscope_model.forward.stack import StackedPolicy
from attnscope_model.training.compressed import Under
from attnscope_model.training.loss import compressed_loss, imitation_loss, packed_loss
from attnscope_model.training.tied import (
    add_up_episodes_and_steps,
    add_up_rows_and_columns,
    initialise_coordinates,
    initialise_episodes,
)
from attnscope_model.training.windows import Batch, HistoryArrays, Windows, drawn_steps


@dataclass(frozen=True)
class Recipe:
    """The settings of a training."""

    steps: int
    """Optimiser steps."""
    batch: int = 32
    """Full windows a step."""
    short_length: int | None = None
    """Windows are this short at first, and more a step in proportion; None: always as long as the context."""
    short_share: float = 0.5
    """Share of the steps with short windows, where there are any."""
    learning_rate: float = 1e-3
    """At its peak."""
    warmup: int = 200
    """Steps over which the learning rate rises from 0; then a cosine falls to a hundredth of the peak."""
    weight_decay: float = 0.01
    """Of AdamW, on matrices; biases, norms and positions are not decayed."""
    gradient_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    bfloat16: bool = True
    """Compute matrix products in bfloat16 (weights stay float32)."""
    seed: int = 0
    """Of the initial weights and of the windows."""
    episode_steps: int | None = None
    """Steps of an episode, where windows begin with episodes and a slot's position is the sum of its episode's part and
    its step's; the policy then knows how far an episode is, while its window grows. None: windows begin anywhere."""
    discovery_weight: float = 1.0
    """Weight in the loss of decisions right after a discovery: those before which a few transitions of their window
    paid. There are few of them, and what they need differs from what later ones do."""
    lengths: tuple[int, ...] | None = None
    """Context lengths, in tokens with the query, at whose decisions a window has a loss. None: at every one."""

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def windows(self, step: int, context_length: int) -> tuple[int, int]:
        """Return the length and the number of the windows of a step."""
        if self.short_length is None or step >= self.short_share * self.steps:
            return context_length, self.batch
        return self.short_length, self.batch * context_length // self.short_length

    def learned(self, length: int) -> tuple[int, ...] | None:
        """Return the context lengths with a loss in windows of a length; None where every one has."""
        return None if self.lengths is None else tuple(one for one in self.lengths if one <= length)


@dataclass(frozen=True)
class PackingWindows:
    """The windows of a policy that packs its history."""

    length: int
    """Steps of a window; what is beyond a context is packed."""
    decisions: int
    """Decisions of each window that have a loss, spread over it."""


class Trainer:
    """Trains one policy on one set of histories.

    Parameters
    ----------
    policy
        The policy; its weights are changed in place.
    histories
        What it is trained on.
    recipe
        How.
    under
        The compression of its contexts; None trains whole contexts.
    packing
        The windows of a policy that packs its history, which needs them; None of any other.
    """

    def __init__(
        self,
        policy: StackedPolicy,
        histories: HistoryArrays,
        recipe: Recipe,
        under: Under | None = None,
        packing: PackingWindows | None = None,
    ) -> None:
        if isinstance(policy, CompressingPolicy) != (packing is not None):
            raise ValueError("expected windows of a policy that packs its history, and of no other")
        self.policy = policy
        self.recipe = recipe
        self.under = under
        self.packing = packing
        self.step = 0
        self._windows = Windows(histories, recipe.seed, recipe.episode_steps or 1)
        self._optimiser = torch.optim.AdamW(_groups(policy, recipe), lr=recipe.learning_rate, betas=(0.9, 0.98))

    def advance(self) -> float:
        """Take one optimiser step and return its loss, nats an action."""
        for group in self._optimiser.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        loss = self._loss()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        nn.utils.clip_grad_norm_(self.policy.parameters(), self.recipe.gradient_norm)
        self._optimiser.step()
        self._tie()
        self.step += 1
        return float(loss.detach())

    def _loss(self) -> Tensor:
        """Return the loss of the next step's windows; in bfloat16 many short contexts take more than twice as long."""
        recipe, step = self.recipe, self.step
        context = self.policy.description.context_length
        length, count = recipe.windows(step, context if self.packing is None else self.packing.length)
        batch: Batch = self._windows.draw(step, length=length, batch=count)
        if self.packing is not None and isinstance(self.policy, CompressingPolicy):
            return packed_loss(self.policy, batch, drawn_steps(recipe.seed, step, length, self.packing.decisions))
        if self.under is not None:
            steps = self.under.steps(recipe.seed, step, length)
            return compressed_loss(self.policy, batch, self.under, steps, first_lane=step * count)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            return imitation_loss(self.policy, batch, recipe.learned(length), recipe.discovery_weight)

    def _tie(self) -> None:
        """Project what is tied, as its table has more freedom than it is to have."""
        if isinstance(self.policy, WholeTransitions):
            add_up_rows_and_columns(self.policy)
        if self.recipe.episode_steps is not None and isinstance(self.policy, ADPolicy):
            add_up_episodes_and_steps(self.policy, self.recipe.episode_steps)

    def state(self) -> dict[str, Any]:
        """Return all that a later trainer needs to go on to the same bits."""
        return {"step": self.step, "model": self.policy.state_dict(), "optimizer": self._optimiser.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from an earlier trainer's state."""
        self.policy.load_state_dict(state["model"])
        self._optimiser.load_state_dict(state["optimizer"])
        self.step = int(state["step"])


def initialise(policy: StackedPolicy, seed: int, episode_steps: int | None = None) -> None:
    """Draw initial weights: normal, matrices by their fan-in, tables and positions small; norms and biases as built.

    What is tied in training (`tied.py`) begins tied.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in policy.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5, generator=generator)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=TABLE_SCALE, generator=generator)
        elif isinstance(module, TransformerCompressor):
            nn.init.normal_(module.compress_queries, std=QUERY_SCALE, generator=generator)
            nn.init.normal_(module.context_pos_embedding, std=POSITION_SCALE, generator=generator)
    for parameter in policy.parameters(recurse=False):
        nn.init.normal_(parameter, std=POSITION_SCALE, generator=generator)
    if isinstance(policy, WholeTransitions):
        initialise_coordinates(policy, generator)
    if episode_steps is not None and isinstance(policy, ADPolicy):
        initialise_episodes(policy, episode_steps, generator)


TABLE_SCALE = 0.3
"""Standard deviation of an embedding table's initial entries; about half a dozen tables are summed into a token."""

POSITION_SCALE = 0.1
"""Standard deviation of initial positions."""

QUERY_SCALE = 1.0
"""The same of a compressor's queries, which are told apart by nothing else."""


def _groups(policy: StackedPolicy, recipe: Recipe) -> list[dict[str, Any]]:
    decayed = [p for module in policy.modules() if isinstance(module, nn.Linear) for p in [module.weight]]
    known = {id(p) for p in decayed}
    others = [p for p in policy.parameters() if id(p) not in known]
    return [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
