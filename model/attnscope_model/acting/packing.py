"""Histories that a learned compressor packs, and the decisions over them.

All environments of a batch go in step: nothing is cleared at an episode's end, so each has packed as much as any other.
Right after a compression nothing is buffered, and the query stands alone: the latents are used from the next step on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from attnscope_model.acting.context import Observations, features
from attnscope_model.acting.deciding import TILE_ENVS, Decision
from attnscope_model.acting.tape import AttentionTape, furthest_off, map_room, refuse_off
from attnscope_model.errors import CaptureInvalidError
from attnscope_model.forward.compressing import CompressingPolicy, LearnedCompressor, Packed


@dataclass(frozen=True)
class Compression:
    """A compression that took place."""

    step: int
    """Transition after which it took place: its latents stand for this one and all before."""
    packed: Packed
    sources: int
    """Tokens and latents that were packed."""


class PackedHistory:
    """A batch of histories: latents of all that was packed, and the tokens since.

    Parameters
    ----------
    compressor
        Packs tokens, and says when.
    per_transition
        Tokens of a transition.
    newest
        Newest transitions that a compression leaves as they are; none in the policies' own evaluation.
    """

    def __init__(self, compressor: LearnedCompressor, per_transition: int, *, newest: int = 0) -> None:
        self._compressor, self._per, self._newest = compressor, per_transition, newest
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

    def transitions(self, slots: int) -> tuple[Int[np.ndarray, " slot"], Int[np.ndarray, " slot"]]:
        """Return the first and the last transition that each slot of the next context stands for; -1 past it.

        A latent stands for everything that was ever packed; the query for the step that it decides.
        """
        first, last = np.full(slots, -1, np.int32), np.full(slots, -1, np.int32)
        latents, end = self.summaries, self.length
        own = self.packed + np.arange(end - latents, dtype=np.int32) // self._per
        first[latents:end] = last[latents:end] = own
        first[:latents], last[:latents] = 0, self.packed - 1
        return first, last

    def append(self, tokens: Float[Tensor, "env token width"]) -> Compression | None:
        """Add a finished transition's tokens; return the compression that this is followed by."""
        self._buffer.append(tokens)
        self.seen += 1
        if not self._compressor.when(len(self._buffer) * self._per, packed=self.held is not None):
            return None
        older = len(self._buffer) - self._newest
        if older < 1:
            raise CaptureInvalidError(f"no transition is left to pack beside the newest {self._newest}")
        given = torch.cat(self._buffer[:older], dim=1)
        sources = given.shape[1] + (0 if self.held is None else self._compressor.latents)
        packed = self._compressor.compress(self.held, given)
        self._buffer = self._buffer[older:]
        self.held, self.packed, self.generation = packed.latents, self.packed + older, self.generation + 1
        return Compression(self.packed - 1, packed, sources)

    def tokens(self, query: Float[Tensor, "env 1 width"]) -> Float[Tensor, "env token width"]:
        """Return the context with a query at its end."""
        latents = [self._compressor.embed(self.held)] if self.summaries and self.held is not None else []
        return torch.cat([*latents, *self._buffer, query], dim=1)


class OnceHistory(PackedHistory):
    """A batch of histories as CAD was trained on them: everything older is packed at once, anew after each transition.

    Nothing is packed that was packed before, and no query stands alone.

    Parameters
    ----------
    compressor
        Packs tokens.
    per_transition
        Tokens of a transition.
    room
        Tokens of transitions that a context without latents has.
    """

    def __init__(self, compressor: LearnedCompressor, per_transition: int, room: int) -> None:
        super().__init__(compressor, per_transition)
        self._room = room
        self._every: list[Tensor] = []

    def append(self, tokens: Float[Tensor, "env token width"]) -> Compression | None:
        """Add a finished transition's tokens; return the compression that this is followed by."""
        self._every.append(tokens)
        self.seen += 1
        beyond = len(self._every) * self._per - self._room
        if beyond <= 0:
            self._buffer = list(self._every)
            return None
        older = -(-(beyond + self._compressor.latents) // self._per)
        given = torch.cat(self._every[:older], dim=1)
        packed = self._compressor.compress(None, given)
        self._buffer = self._every[older:]
        self.held, self.packed, self.generation = packed.latents, older, 1
        return Compression(older - 1, packed, given.shape[1])


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
    map_envs
        Environments whose maps are recorded where maps are asked for; all of them where None.
    """

    def __init__(
        self,
        policy: CompressingPolicy,
        envs: int,
        device: torch.device,
        *,
        sums: Literal["at once", "by caller", "elsewhere"] = "at once",
        map_envs: Sequence[int] | None = None,
    ) -> None:
        self._policy, self._device, self._sums = policy, device, sums
        self._map_envs = map_envs
        self._tile = envs if device.type != "cpu" else TILE_ENVS * torch.get_num_threads()
        self.window = PackedHistory(policy.compressor, policy.description.tokens_per_transition)
        """The histories."""
        self.heard: Callable[[Compression], None] = _unheard
        """Called with every compression, once the transition that it follows has joined."""

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
        query = self._policy.embed_query(features(observation, self._device))
        tokens = window.tokens(self._policy.stamp(query, window.seen))
        envs, length = tokens.shape[:2]
        kept = range(envs) if self._map_envs is None else self._map_envs
        whole = map_room(self._policy.description, len(kept), length, self._device) if maps else None
        logits: list[Tensor] = []
        found: list[Tensor] = []
        for first in range(0, envs, self._tile):
            part = tokens[first : first + self._tile]
            places = [place for place, env in enumerate(kept) if maps and first <= env < first + len(part)]
            own, own_rows, own_maps = self._decided(part, window.summaries, rows=rows, maps=bool(places))
            logits.append(own)
            if own_rows is not None:
                found.append(own_rows)
            if own_maps is not None and whole is not None:
                whole[places, ..., :length, :length] = own_maps[[kept[place] - first for place in places]].half()
        return Decision(torch.cat(logits), torch.cat(found) if rows else None, whole, summaries=window.summaries)

    def _decided(
        self, tokens: Tensor, summaries: int, *, rows: bool, maps: bool
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return logits, rows and float32 maps of some environments."""
        if not (rows or maps):
            return self._policy(tokens, summaries).float(), None, None
        with AttentionTape(self._policy, maps=maps) as tape:
            logits = self._policy(tokens, summaries).float()
        if self._sums != "elsewhere":
            refuse_off(furthest_off(tape.rows).item())
        return logits, tape.rows if rows else None, tape.maps

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
        compression = self.window.append(self._policy.stamp(tokens, self.window.seen))
        if compression is not None and not bool(compression.packed.latents.isfinite().all()):
            raise CaptureInvalidError(f"the latents after transition {compression.step} are not finite")
        if compression is not None:
            self.heard(compression)


def _unheard(_compression: Compression) -> None:
    """Do nothing with a compression."""
