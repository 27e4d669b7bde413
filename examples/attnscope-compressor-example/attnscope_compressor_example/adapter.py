"""The adapter: when to pack and how, for attnscope's trials."""

from __future__ import annotations

import torch
from torch import Tensor

from attnscope_compressor_example.network import BlockMeans
from attnscope_model.forward.compressing import LearnedCompressor, Packed
from attnscope_model.forward.policy import Policy

TOKENS = 20


class BlockMeansAdapter(LearnedCompressor):
    """Packs 20 tokens, latents among them, into 4 latents."""

    latents = 4

    def __init__(self, policy: Policy) -> None:
        if policy.description.context_length <= TOKENS:
            raise ValueError(f"trained for contexts of more than {TOKENS} tokens")
        device = next(policy.parameters()).device  # tokens come from there, and latents stay there
        network = BlockMeans(policy.description.width, self.latents).to(device)
        self._network = network.eval().requires_grad_(requires_grad=False)

    def when(self, tokens: int, *, packed: bool) -> bool:
        """Return whether it is time to pack."""
        return tokens >= TOKENS - (self.latents if packed else 0)

    def compress(self, held: Tensor | None, tokens: Tensor) -> Packed:
        """Return the latents of what was packed before and of further tokens."""
        return Packed(self._network(tokens if held is None else torch.cat([held, tokens], dim=1)))
