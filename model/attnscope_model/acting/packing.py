"""Histories that a learned compressor packs, and the decisions over them.

All environments of a batch go in step: nothing is cleared at an episode's end, so each has packed as much as any other.
Right after a compression nothing is buffered, and the query stands alone: the latents are used from the next step on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from attnscope_model.acting.context import Observations, features
from attnscope_model.acting.deciding import TILE_ENVS, Decision
from attnscope_model.acting.tape import AttentionTape, furthest_off, refuse_off
from attnscope_model.errors import CaptureInvalidError
from attnscope_model.forward.compressing import CompressingPolicy, LearnedCompressor, Packed


@dataclass(frozen=True)
class Compression:
    """A compression that took place."""

    step: int
    """Transition after which it took place: its latents stand for this one and all before."""
    packed: Packed


class PackedHistory:
    """A batch of histories: latents of all that was packed, and the tokens since.

    Parameters
    ----------
    compressor
        Packs tokens, and says when.
    per_transition
        Tokens of a transition.
    """

    def __init__(self, compressor: LearnedCompressor, per_transition: int) -> None:
        self._compressor, self._per = compressor, per_transition
        self._buffer: list[Tensor] = []
        self.held: Float[Tensor, "env latent width"] | None = None
        """Latents of the newest compression, as it gave them."""
        self.seen = 0
        """Transitions so far."""
        self.packed = 0
        """Transitions that the latents stand for, from the first one on."""
        self.generation = 0
        """Compressions so far."""

    @property
    def summaries(self) -> int:
        """Latents in the next context; none where no transition has joined since they were made."""
        return self._compressor.latents if self.held is not None and self._buffer else 0

    @property
    def length(self) -> int:
        """Tokens of the next context, the query among them."""
        return self.summaries + len(self._buffer) * self._per + 1

    @property
    def start(self) -> int:
        """Transition index of the oldest transition that stands in the next context as itself."""
        return self.packed

    def append(self, tokens: Float[Tensor, "env token width"]) -> Compression | None:
        """Add a finished transition's tokens; return the compression that this is followed by."""
        self._buffer.append(tokens)
        self.seen += 1
        if not self._compressor.when(len(self._buffer) * self._per, packed=self.held is not None):
            return None
        packed = self._compressor.compress(self.held, torch.cat(self._buffer, dim=1))
        self._buffer = []
        self.held, self.packed, self.generation = packed.latents, self.seen, self.generation + 1
        return Compression(self.seen - 1, packed)

    def tokens(self, query: Float[Tensor, "env 1 width"]) -> Float[Tensor, "env token width"]:
        """Return the context with a query at its end."""
        latents = [self._compressor.embed(self.held)] if self.summaries and self.held is not None else []
        return torch.cat([*latents, *self._buffer, query], dim=1)


class PackingDecider:
    """A batch of environments whose policy packs its older history.

    Parameters
    ----------
    policy
        What decides.
    envs
        Environments in the batch.
    device
        Where their histories are.
    sums
        When the recorded rows' sums are looked at, as `Decider` has it; ``by caller`` is at once too.
    """

    def __init__(
        self,
        policy: CompressingPolicy,
        envs: int,
        device: torch.device,
        *,
        sums: Literal["at once", "by caller", "elsewhere"] = "at once",
    ) -> None:
        self._policy, self._device, self._sums = policy, device, sums
        self._tile = envs if device.type != "cpu" else TILE_ENVS * torch.get_num_threads()
        self.window = PackedHistory(policy.compressor, policy.description.tokens_per_transition)
        """The histories."""

    def caches(self, transitions: int) -> bool:  # noqa: ARG002 - whatever their number
        """Return that a decision needs no other before it: whatever was packed was packed when a transition joined."""
        return False

    def decide(self, observation: Observations, *, rows: bool = False, maps: bool = False) -> Decision:
        """Return the decision at an observation.

        Raises
        ------
        CaptureInvalidError
            A row does not sum to 1.
        """
        window = self.window
        tokens = window.tokens(self._policy.embed_query(features(observation, self._device)))
        tiles = torch.split(tokens, self._tile)
        parts = [self._decided(part, window.summaries, rows=rows, maps=maps) for part in tiles]
        if len(parts) == 1:
            return parts[0]
        return Decision(
            torch.cat([part.logits for part in parts]),
            torch.cat([part.rows for part in parts if part.rows is not None]) if rows else None,
            torch.cat([part.maps for part in parts if part.maps is not None]) if maps else None,
        )

    def _decided(self, tokens: Tensor, summaries: int, *, rows: bool, maps: bool) -> Decision:
        if not (rows or maps):
            return Decision(self._policy(tokens, summaries).float())
        with AttentionTape(self._policy, maps=maps) as tape:
            logits = self._policy(tokens, summaries).float()
        if self._sums != "elsewhere":
            refuse_off(furthest_off(tape.rows).item())
        return Decision(logits, tape.rows if rows else None, tape.maps)

    def append(
        self,
        observation: Observations,
        action: Int[np.ndarray, " env"] | Int[Tensor, " env"],
        reward: Shaped[np.ndarray, " env"] | Shaped[Tensor, " env"],
        next_observation: Observations,
        ended: Bool[np.ndarray, " env"] | Bool[Tensor, " env"] | None = None,  # noqa: ARG002 - latents outlive episodes
    ) -> None:
        """Add a finished transition, and pack where it is time to.

        Raises
        ------
        CaptureInvalidError
            A compression gives a number that is not finite.
        """
        tokens = self._policy.embed_transition(
            features(observation, self._device),
            torch.as_tensor(action).to(self._device, torch.int64),
            torch.as_tensor(reward).to(self._device, torch.float32),
            features(next_observation, self._device),
        )
        compression = self.window.append(tokens)
        if compression is not None and not bool(compression.packed.latents.isfinite().all()):
            raise CaptureInvalidError(f"the latents after transition {compression.step} are not finite")
