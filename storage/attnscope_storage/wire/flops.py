"""The arithmetic of a forward pass: the one formula that both sides count floating-point operations by."""

from __future__ import annotations

from typing import Final

from attnscope_storage.wire.policies import PolicyDescription

FEED_FORWARD: Final = 4
"""Width of the feed-forward layer in multiples of the embedding width, assumed because no description says it."""


def forward_flops(policy: PolicyDescription, tokens: float, seen: float | None = None) -> float:
    """Return the floating-point operations of one decision of a policy; see `flops_of_shape`."""
    return flops_of_shape(policy.layers, policy.width, tokens, seen)


def compression_flops(policy: PolicyDescription, sources: float) -> float:
    """Return the operations of packing so many tokens, latents among them; 0 where the description says no network.

    An installed compressor says its operations itself.
    """
    if policy.packed_by is not None:
        return 0.0
    inner = policy.compressor_feedforward
    return compression_flops_of_shape(policy.compressor_layers, policy.latents, policy.width, inner, sources)


def compression_flops_of_shape(layers: int, latents: int, width: int, inner: int, sources: float) -> float:
    """Return the operations of a compression: multiply-adds count two; norms and activations are not counted.

    A layer lets the latents attend to each other and to the sources, which are mapped to keys and values in each layer.

    Parameters
    ----------
    inner
        Width inside the feed-forward parts.
    sources
        Tokens that are packed, latents of before among them.
    """
    linear = latents * 6 * width**2 + sources * 2 * width**2  # own maps, query and output; keys and values
    scores = 2 * latents * (latents + sources) * width
    return float(2 * layers * (linear + scores + 2 * latents * width * inner))


def packing_bytes(policy: PolicyDescription, sources: int | None = None) -> int:
    """Return the bytes that one compression takes for a moment, of one rollout in float32; 0 where nobody says it.

    A layer holds keys and values of the sources, and the weights of all latents over the sources and each other.

    Parameters
    ----------
    sources
        Tokens and latents that are packed; None: as many as the policy's own evaluation packs.
    """
    if not policy.compressor_layers:
        return 0
    many = policy.packed_at if sources is None else sources
    weights = policy.compressor_heads * policy.latents * (many + policy.latents)
    return 4 * (2 * many * policy.width + weights)


def flops_of_shape(layers: int, width: int, tokens: float, seen: float | None = None) -> float:
    """Return the floating-point operations of one decision.

    A multiply-add counts two. A token costs 2 (4 + 2 × 4) d² for projections and feed-forward, and 4 n d for scores
    and mixing over the n tokens that it attends to, whether or not a mask hides some. The last layer computes keys and
    values of every token and everything else of the query alone, as the policies of this package do. Embeddings,
    norms and the head are not counted.

    Parameters
    ----------
    tokens
        Tokens that are computed, the query among them.
    seen
        Tokens that they attend to, the query among them; None: those that are computed.
    """
    attended = tokens if seen is None else seen
    linear = 2 * (4 + 2 * FEED_FORWARD) * width**2
    keys_and_values = 4 * width**2
    scores = 4 * attended * width
    last = tokens * keys_and_values + (linear - keys_and_values) + scores
    return float((layers - 1) * tokens * (linear + scores) + last)
