"""A network that packs a history into means of blocks, mapped linearly: a stand-in for a trained one."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BlockMeans(nn.Module):
    """The means of so many blocks of tokens, mapped by one linear map."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.mapped = nn.Linear(width, width)
        generator = torch.Generator().manual_seed(0)
        for weights in self.parameters():  # a trained network would load a file here
            nn.init.normal_(weights, std=width**-0.5, generator=generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return one latent a block, oldest first."""
        parts = torch.tensor_split(tokens, self.blocks, dim=1)
        return self.mapped(torch.stack([part.mean(dim=1) for part in parts], dim=1))
