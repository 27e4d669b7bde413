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

    An installed compressor says its bytes itself. Where it does not but gives its attention, it is counted as a
    transformer of as many layers and heads, without feed-forward parts.

    Parameters
    ----------
    sources
        Tokens and latents that are packed; None: as many as the policy's own evaluation packs.
    """
    if (by := policy.packed_by) is not None and (said := max(by.bytes_first, by.bytes)):
        return round(said)
    if not policy.compressor_layers:
        return 0
    many = policy.packed_at if sources is None else sources
    layers, heads, inner = policy.compressor_layers, policy.compressor_heads, policy.compressor_feedforward
    return packing_bytes_of_shape(layers, heads, policy.latents, policy.width, inner, many)


def packing_bytes_of_shape(layers: int, heads: int, latents: int, width: int, inner: int, sources: int) -> int:
    """Return the bytes of a compression's largest moment, of one rollout in float32, weights not counted.

    Sources stand there twice, without and with positions, and the attention of every layer is kept to the end. The
    largest moment is one of three: the last layer's scores beside its keys and values; the inside of its feed-forward
    part; or the joining of all layers' attention, which is there twice then.

    Parameters
    ----------
    inner
        Width inside the feed-forward parts.
    sources
        Tokens that are packed, latents of before among them.
    """
    kept = heads * latents * (sources + latents)
    scores = heads * latents * latents + 2 * heads * latents * sources
    moments = (
        (layers - 1) * kept + scores + (2 * sources + 5 * latents) * width,
        layers * kept + latents * (2 * inner + 3 * width),
        2 * layers * kept + 2 * latents * width,
    )
    return 4 * (2 * sources * width + max(moments))


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
