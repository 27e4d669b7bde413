"""The two families that pack their older history themselves: CCCAD's CompressedAD and RAD_dark's RAD."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnscope_model.families.headed import HeadedStack
from attnscope_model.families.packing import OwnCompressor, PackingConfig, TransformerCompressor
from attnscope_model.families.tokens import STATE_ACTION_REWARD, StateActionReward, WholeTransitions
from attnscope_model.forward.compressing import CompressingPolicy, OpenedAttention
from attnscope_model.forward.description import described, parameters_of
from attnscope_model.forward.layers import BlockLayer
from attnscope_model.forward.stack import Slots, at_slots
from attnscope_storage.wire import PolicyDescription, TokenKind

CAD_FAMILY = "cccad-cad"
RAD_FAMILY = "rad-dark-rad"
"""Names of the families in entries and captures."""


class CadPolicy(CompressingPolicy, WholeTransitions, HeadedStack):
    """CCCAD's CompressedAD: its latents see every token, the query among them, so their keys change at every step."""

    def __init__(self, config: PackingConfig) -> None:
        layers = tuple(BlockLayer(config, norm="pre") for _ in range(config.layers))
        super().__init__(layers, config, final_norm=True)
        self._sites = tuple(OpenedAttention() for _ in layers)
        for layer, site in zip(layers, self._sites, strict=True):
            layer.attention = site
        self.grid_size = config.grid_size
        self.positions = nn.Parameter(torch.zeros(1, config.context_length, config.width))
        self.embed_context = nn.Linear(2 * 2 + config.actions + 1, config.width)
        self.embed_query_state = nn.Embedding(config.grid_size**2, config.width)
        self.latent_type = nn.Parameter(torch.zeros(1, 1, config.width))
        self.packing = TransformerCompressor(config)
        self.description = _description(
            config, parameters_of(self), CAD_FAMILY, ("transition",), config.context_length - 1
        )

    @property
    def compressor(self) -> OwnCompressor:
        """The compressor, which packs as soon as only the query's slot is left."""
        return OwnCompressor(self.packing, self.latent_type, self.description.packed_at, feeds_back=False)

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return the tokens with the positions of their slots added; latents stand first."""
        return tokens + at_slots(self.positions[0], first, tokens.shape[1])

    @contextmanager
    def opening(self, summaries: int) -> Iterator[None]:
        """Let so many tokens at the front see every token within the block."""
        for site in self._sites:
            site.opened = summaries
        try:
            yield
        finally:
            for site in self._sites:
                site.opened = 0


class RadPackingPolicy(CompressingPolicy, StateActionReward, HeadedStack):
    """RAD_dark's RAD: plain causal attention, its latents first; the next compression takes them with their kind."""

    def __init__(self, config: PackingConfig) -> None:
        layers = (BlockLayer(config, norm="pre", gelu="tanh") for _ in range(config.layers))
        super().__init__(layers, config, final_norm=True)
        self.grid_size = config.grid_size
        self.positions = nn.Parameter(torch.zeros(config.context_length, config.width))
        self.embed_state = nn.Embedding(config.grid_size**2, config.width)
        self.embed_action = nn.Embedding(config.actions, config.width)
        self.embed_reward = nn.Linear(1, config.width)
        self.widen = nn.Identity()
        self.latent_type = nn.Parameter(torch.zeros(1, 1, config.width))
        self.packing = TransformerCompressor(config)
        self.description = _description(
            config, parameters_of(self), RAD_FAMILY, STATE_ACTION_REWARD, config.context_length
        )

    @property
    def compressor(self) -> OwnCompressor:
        """The compressor, which packs once no slot is left for a query."""
        return OwnCompressor(self.packing, self.latent_type, self.description.packed_at, feeds_back=True)

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return the tokens with the positions of their slots added; latents stand first."""
        return tokens + at_slots(self.positions, first, tokens.shape[1])


def _description(
    config: PackingConfig, parameters: int, family: str, token_kinds: tuple[TokenKind, ...], packed_at: int
) -> PolicyDescription:
    plain = described(config, parameters, family=family, positions="learned-absolute", token_kinds=token_kinds)
    packs = {
        "latents": config.latents,
        "packed_at": packed_at,
        "compressor_layers": config.compressor_layers,
        "compressor_heads": config.compressor_heads,
        "compressor_feedforward": config.compressor_feedforward,
        "compressor_positions": config.compressor_positions,
    }
    return plain.model_copy(update={"window": "compressed", **packs})
