"""A planted policy with a compressor beside it: what it reads of the newest transition is lost right after it packs."""

from __future__ import annotations

import torch

from attnscope_model.families.ad import ADPolicy
from attnscope_model.forward.compressing import CompressingPolicy, LearnedCompressor, Packed
from attnscope_storage.wire import CheckpointInfo, PolicyDescription
from attnscope_storage.wire.flops import compression_flops

LATENTS = 4


class Means(LearnedCompressor):
    """Packs by means: each latent is the mean of the whole history, so that none tells one transition from another."""

    latents = LATENTS

    def __init__(self, description: PolicyDescription) -> None:
        self._room, self._description = description.packed_at, description

    def when(self, tokens: int, *, packed: bool) -> bool:
        """Return whether the buffered tokens fill the room that latents leave."""
        return tokens >= self._room - (LATENTS if packed else 0)

    def compress(self, held: torch.Tensor | None, tokens: torch.Tensor) -> Packed:
        """Return means, each source with the same weight."""
        sources = tokens if held is None else torch.cat([held, tokens], dim=1)
        even = torch.full((len(sources), 1, 1, LATENTS, sources.shape[1]), 1 / sources.shape[1])
        return Packed(sources.mean(dim=1, keepdim=True).expand(-1, LATENTS, -1), even)

    def flops(self, sources: int) -> float:
        """Return what the description's one layer would take."""
        return compression_flops(self._description, sources)


class PackingPlanted(CompressingPolicy, ADPolicy):
    """A planted policy that packs its history as soon as only the query's slot is left."""

    @property
    def compressor(self) -> Means:
        """The compressor."""
        return Means(self.description)


def packing_description(policy: PolicyDescription) -> PolicyDescription:
    """Return the description of the policy with its compressor."""
    room = policy.context_length - 1
    return policy.model_copy(
        update={
            "window": "compressed",
            "latents": LATENTS,
            "packed_at": room,
            "compressor_layers": 1,
            "compressor_heads": 1,
        }
    )


def packing(policy: ADPolicy) -> PackingPlanted:
    """Return the same weights with the compressor beside them; the given policy becomes it."""
    policy.__class__ = PackingPlanted
    policy.description = packing_description(policy.description)
    assert isinstance(policy, PackingPlanted)
    return policy


class PackingRegistry:
    """A registry whose one checkpoint packs its history."""

    def __init__(self, info: CheckpointInfo) -> None:
        self._info = info.model_copy(update={"policy": packing_description(info.policy)})

    def get(self, name: str) -> CheckpointInfo:
        """Return the checkpoint, whatever it is called."""
        del name
        return self._info
