"""The compressing transformer of CCCAD and RAD_dark: learnt queries that attend to a history, layer after layer.

Each layer lets the latents attend to each other, then to the history, whose tokens have positions of the compressor's
own and no norm, then passes them through a feed-forward part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.errors import CaptureInvalidError
from attnscope_model.forward.compressing import LearnedCompressor, Packed
from attnscope_storage.wire.flops import compression_flops_of_shape, packing_bytes_of_shape


@dataclass(frozen=True)
class PackingConfig:
    """Sizes of a policy in a square room and of its compressor."""

    width: int
    layers: int
    heads: int
    context_length: int
    feedforward: int
    grid_size: int
    actions: int
    latents: int
    """Latents that a compression gives."""
    compressor_layers: int
    compressor_heads: int
    compressor_feedforward: int
    compressor_positions: int
    """Tokens that a compression may take."""


class CompressorLayer(nn.Module):
    """One layer: z = z + self(norm z), z = z + cross(norm z, x), z = z + W₂ gelu(W₁ norm z); x is not normed."""

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.heads = heads
        self.self_norm, self.cross_norm, self.inner_norm = (nn.LayerNorm(width) for _ in range(3))
        self.self_joint, self.self_joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.cross_query, self.cross_key = nn.Linear(width, width), nn.Linear(width, width)
        self.cross_value, self.cross_joined = nn.Linear(width, width), nn.Linear(width, width)
        self.widening, self.narrowing = nn.Linear(width, feedforward), nn.Linear(feedforward, width)

    def forward(
        self, z: Float[Tensor, "env latent width"], x: Float[Tensor, "env source width"]
    ) -> tuple[
        Float[Tensor, "env latent width"],
        Float[Tensor, "env head latent source"],
        Float[Tensor, "env head latent latent"],
    ]:
        """Return the latents, their attention to the history, and to each other."""
        attended, among = self._attended(*self.self_joint(self.self_norm(z)).chunk(3, dim=-1))
        z = z + self.self_joined(attended)
        attended, cross = self._attended(self.cross_query(self.cross_norm(z)), self.cross_key(x), self.cross_value(x))
        z = z + self.cross_joined(attended)
        return z + self.narrowing(functional.gelu(self.widening(self.inner_norm(z)))), cross, among

    def _headed(self, x: Tensor) -> Tensor:
        envs, tokens, width = x.shape
        return x.reshape(envs, tokens, self.heads, width // self.heads).transpose(1, 2)

    def _attended(self, queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the joined attended values, and the weights."""
        q, k, v = (self._headed(part) for part in (queries, keys, values))
        weights = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), dim=-1)
        return (weights @ v).transpose(1, 2).flatten(2), weights


class TransformerCompressor(nn.Module):
    """The stack of such layers, and its positions and queries."""

    def __init__(self, config: PackingConfig) -> None:
        super().__init__()
        width, self._inner, self._heads = config.width, config.compressor_feedforward, config.compressor_heads
        self.compress_queries = nn.Parameter(torch.zeros(1, config.latents, width))
        self.context_pos_embedding = nn.Parameter(torch.zeros(1, config.compressor_positions, width))
        self.layers = nn.ModuleList(
            CompressorLayer(width, config.compressor_heads, config.compressor_feedforward)
            for _ in range(config.compressor_layers)
        )
        self.closing_norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "env source width"]) -> Packed:
        """Return the latents of a history of tokens, older latents first.

        Raises
        ------
        CaptureInvalidError
            There are more tokens than positions.
        """
        most = self.context_pos_embedding.shape[1]
        if x.shape[1] > most:
            raise CaptureInvalidError(f"a compression of {x.shape[1]} tokens, and the compressor has {most} positions")
        placed = x + self.context_pos_embedding[:, : x.shape[1]]
        z = self.compress_queries.expand(len(x), -1, -1)
        cross, among = [], []
        for layer in self.layers:
            z, seen, joined = layer(z, placed)
            cross.append(seen)
            among.append(joined)
        return Packed(self.closing_norm(z), torch.stack(cross, dim=1), torch.stack(among, dim=1))

    def flops(self, sources: int) -> float:
        """Return the floating-point operations of packing so many tokens, latents of before among them."""
        _, latents, width = self.compress_queries.shape
        return compression_flops_of_shape(len(self.layers), latents, width, self._inner, sources)

    def bytes(self, sources: int) -> float:
        """Return the bytes that packing so many tokens, latents of before among them, takes for a moment."""
        _, latents, width = self.compress_queries.shape
        return packing_bytes_of_shape(len(self.layers), self._heads, latents, width, self._inner, sources)


class OwnCompressor(LearnedCompressor):
    """The compressor that a file holds beside its policy.

    Parameters
    ----------
    network
        Packs tokens.
    kind
        Added to latents so that the policy knows them from transitions, [1, 1, width].
    room
        Buffered tokens at which the first compression comes; the latents take their part of it afterwards.
    feeds_back
        The next compression takes latents with `kind` added.
    """

    def __init__(
        self,
        network: TransformerCompressor,
        kind: Float[Tensor, "1 1 width"],
        room: int,
        *,
        feeds_back: bool,
    ) -> None:
        self.latents = network.compress_queries.shape[1]
        self._network, self._kind, self._room = network, kind, room
        self._feeds_back = feeds_back

    def when(self, tokens: int, *, packed: bool) -> bool:
        """Return whether the buffered tokens fill the room that latents leave."""
        return tokens >= self._room - (self.latents if packed else 0)

    def compress(
        self, held: Float[Tensor, "env latent width"] | None, tokens: Float[Tensor, "env token width"]
    ) -> Packed:
        """Return new latents for those that are held and for further tokens."""
        packed: Packed = self._network(tokens if held is None else torch.cat([held, tokens], dim=1))
        if not self._feeds_back:
            return packed
        return Packed(packed.latents + self._kind, packed.cross, packed.among)

    def flops(self, sources: int) -> float:
        """Return the operations of a compression: multiply-adds count two; norms and activations are not counted."""
        return self._network.flops(sources)

    def bytes(self, sources: int) -> float:
        """Return the bytes that a compression of one rollout takes for a moment, its attention in every layer."""
        return self._network.bytes(sources)

    def embed(self, latents: Float[Tensor, "env latent width"]) -> Float[Tensor, "env latent width"]:
        """Return latents with their kind added, once."""
        return latents if self._feeds_back else latents + self._kind
