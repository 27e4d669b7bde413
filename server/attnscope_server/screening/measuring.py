"""The numbers of every arm at every judged decision of a block."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attnscope_model.acting.outputs import output_of
from attnscope_model.compression import Compression
from attnscope_server.screening.ages import parts_of
from attnscope_server.screening.bands import Ages
from attnscope_server.screening.block import Block, moments_of
from attnscope_server.screening.contexts import Contexts, Placed
from attnscope_server.screening.keeping import Frame
from attnscope_server.screening.seen import SeenRows
from attnscope_server.screening.walking import Walk, walks

Arrays = dict[str, np.ndarray]
"""Arrays by the names that a screen's store has for them."""


class Measured:
    """The decisions of one block under each arm.

    Parameters
    ----------
    block
        The rollouts.
    steps
        The decisions that are judged, of every rollout.
    arms
        The arms that are compared.
    temperature
        Of the actions; None is greedy.
    before_step
        Called before every piece of work; stops everything by raising.
    """

    def __init__(
        self,
        block: Block,
        steps: Int[np.ndarray, "rollout decision"],
        arms: Sequence[Compression],
        temperature: float | None,
        before_step: Callable[[], None],
    ) -> None:
        self._block = block
        self._temperature = temperature
        description = block.policy.description
        self._output, self._lacks = output_of(description), description.output.lacks
        self._before_step = before_step
        self._shape = steps.shape
        begun = time.process_time()
        moments = moments_of(steps, block.device)
        longest = max((arm.interval for arm in arms if isinstance(arm.interval, int)), default=1)
        self._frame = Frame(block, moments, longest)
        self._contexts = Contexts(self._frame, before_step)
        self._seen = SeenRows(block) if block.histories.rows is not None else None
        self._mass = None if self._seen is None else self._row_mass(self._seen)
        self.seconds = time.process_time() - begun
        """Processor seconds of embedding and of the uncompressed decisions."""

    @property
    def logits(self) -> Float[np.ndarray, "rollout decision action"]:
        """The uncompressed decisions, before temperature."""
        return self._contexts.full.view(*self._shape, -1).cpu().numpy()

    def arms(self, arms: Sequence[Compression]) -> Arrays:
        """Return the numbers of some arms, [rollout, arm, decision]."""
        logits = self._contexts.full.expand(len(arms), *self._contexts.full.shape).clone()
        columns = self._frame.window.shape
        tokens = torch.zeros(len(arms), columns[0], dtype=torch.int64, device=self._block.device)
        alone = torch.zeros(len(arms), *columns, dtype=torch.bool, device=self._block.device)
        direct = [index for index, arm in enumerate(arms) if not walks(arm)]
        placed = []
        for index in direct:
            self._before_step()
            kept = self._frame.kept(arms[index], self._seen)
            placed.append(Placed(kept, arms[index].positions))
            tokens[index], alone[index] = kept.counts * self._block.per, kept.alone & self._frame.window
        if placed:
            logits[direct] = self._contexts.logits(placed)
        walking = [index for index, arm in enumerate(arms) if walks(arm)]
        if walking:
            walk = Walk(self._frame, [arms[index] for index in walking], self._before_step)
            logits[walking], tokens[walking], alone[walking] = walk.logits, walk.tokens, walk.alone
        return self._numbers(logits, tokens, alone)

    def ages(self, ages: Ages) -> Arrays:
        """Return how decisions depart without each part of their history, [rollout, part, decision]."""
        parts = parts_of(
            self._frame,
            self._contexts,
            ages,
            lambda full, other: self._output.departure(full, other, self._temperature),
        )
        numbers = {
            "ages/departure": (parts.bands, np.float32),
            "ages/single": (parts.single, np.float32),
            "ages/width": (parts.widths, np.int32),
            "episodes/departure": (parts.episodes, np.float32),
        }
        if self._mass is not None:
            numbers["ages/attention"] = ((parts.gone * self._mass[0]).sum(dim=-1), np.float32)
        return {name: self._by_rollout(values, dtype) for name, (values, dtype) in numbers.items()}

    def _numbers(
        self,
        logits: Float[Tensor, "arm decision action"],
        tokens: Int[Tensor, "arm decision"],
        alone: Bool[Tensor, "arm decision column"],
    ) -> Arrays:
        full, temperature, output = self._contexts.full, self._temperature, self._output
        numbers: dict[str, tuple[Tensor, type]] = {
            "screen/departure": (output.departure(full, logits, temperature), np.float32),
            "screen/kept": (tokens, np.int32),
        }
        if "signed" not in self._lacks:
            numbers["screen/signed"] = (output.signed_loss(full, logits, temperature), np.float32)
        if "kl" not in self._lacks:
            numbers["screen/kl"] = (output.divergence(full, logits, temperature), np.float32)
        if "flip" not in self._lacks:
            numbers["screen/flip"] = (output.flips(full, logits), np.int8)
        if self._mass is not None:
            history, own = self._mass
            numbers["screen/retained"] = ((alone * history).sum(dim=-1) + own, np.float32)
        return {name: self._by_rollout(values, dtype) for name, (values, dtype) in numbers.items()}

    def _by_rollout(self, values: Tensor, dtype: type) -> np.ndarray:
        """Return [arm, decision of the block] as [rollout, arm, decision]."""
        array = values.cpu().numpy().reshape(len(values), *self._shape)
        return np.ascontiguousarray(np.moveaxis(array, 1, 0).astype(dtype))

    def _row_mass(self, seen: SeenRows) -> tuple[Float[Tensor, "decision column"], Float[Tensor, " decision"]]:
        """Return the attention of every decision to the transitions of its window, and to its own query."""
        frame = self._frame
        history = torch.zeros(frame.window.shape, device=self._block.device)
        own = torch.zeros(len(frame.moments), device=self._block.device)
        for index, (rollout, step) in enumerate(
            zip(frame.moments.rollout.tolist(), frame.moments.step.tolist(), strict=True)
        ):
            history[index, frame.window[index]] = seen.row(step)[rollout]
            own[index] = seen.own(step)[rollout]
        return history, own
