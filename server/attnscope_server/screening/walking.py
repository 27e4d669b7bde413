"""Arms whose contexts depend on what they kept before: led through stored histories in order, with their own state.

Stateful and cached contexts keep nothing else, and learn from the attention of their own decisions. Rules that leave
out one transition after another, and masks, need forwards of their own, and come this way too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attnscope_model.compression import Compression
from attnscope_model.compression.deciding import CompressedDecider
from attnscope_model.strategies.learned import Latents
from attnscope_server.screening.keeping import Frame


def walks(arm: Compression) -> bool:
    """Return whether an arm has to be led through every step."""
    return (
        isinstance(arm.rule, Latents)
        or arm.memory == "stateful"
        or arm.path == "cached"
        or arm.positions == "mask"
        or arm.leaves_out
    )


class Walk:
    """Arms that are led through the histories of a frame's block side by side.

    Parameters
    ----------
    frame
        The decisions that are judged.
    arms
        Those that walk.
    before_step
        Called before every step; stops everything by raising.
    """

    def __init__(self, frame: Frame, arms: Sequence[Compression], before_step: Callable[[], None]) -> None:
        self._frame = frame
        self._arms = arms
        outputs = frame.block.policy.description.outputs
        shape = len(arms), len(frame.moments)
        device = frame.block.device
        self.logits: Float[Tensor, "arm decision action"] = torch.zeros(*shape, outputs, device=device)
        self.tokens: Int[Tensor, "arm decision"] = torch.zeros(shape, dtype=torch.int64, device=device)
        """History tokens of every context."""
        self.alone: Bool[Tensor, "arm decision column"] = torch.zeros(
            *shape, frame.transition.shape[1], dtype=torch.bool, device=device
        )
        """Transitions of the uncompressed window that are kept as they are."""
        if arms:
            self._lead(before_step)

    def _lead(self, before_step: Callable[[], None]) -> None:
        block, times = self._frame.block, len(self._arms)
        decider = CompressedDecider(block.policy, self._arms, block.lanes, block.device)
        steps = self._frame.moments.step
        history = block.histories
        series = (history.observation, history.action, history.reward, history.next_observation, history.ended)
        for step in range(int(steps.max()) + 1):
            before_step()
            transition = tuple(np.concatenate([values[:, step]] * times) for values in series)
            mine = torch.nonzero(steps == step)[:, 0]
            if len(mine):
                self._take(decider, decider.decide(transition[0]), mine)
            else:
                decider.pass_by(transition[0])
            decider.append(*transition)

    def _take(self, decider: CompressedDecider, logits: Float[Tensor, "rollout action"], mine: Tensor) -> None:
        """Take down the decisions that are judged at this step."""
        frame, rollouts = self._frame, self._frame.moments.rollout[mine].tolist()
        by_arm = logits.view(len(self._arms), frame.block.rollouts, -1)
        for number, kept in enumerate(decider.kept()):
            tokens = kept.tokens_each(frame.block.per)
            for place, rollout in zip(mine.tolist(), rollouts, strict=True):
                count = kept.counts[rollout]
                self.logits[number, place] = by_arm[number, rollout]
                self.tokens[number, place] = tokens[rollout]
                first, last = (kept.facts[name][rollout, :count] for name in ("first", "last"))
                as_it_is = last[first == last] - frame.base[place]
                inside = as_it_is[as_it_is >= 0]
                self.alone[number, place, inside] = frame.window[place, inside]
