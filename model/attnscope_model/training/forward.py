"""The training forward: every step's decision at once, exactly as inference sees it.

Inference stands the query at slot t behind the transitions before t and then puts the finished transition in its
place. Training therefore runs two streams: transitions, causal among themselves, and queries, each of which sees the
transitions before its slot and itself, and is seen by none.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from attnscope_model.forward.attention import TapedAttention
from attnscope_model.forward.distances import DistanceBias
from attnscope_model.forward.stack import StackedPolicy


def every_decision(
    policy: StackedPolicy,
    transitions: Float[Tensor, "window transition width"],
    queries: Float[Tensor, "window query width"],
) -> Float[Tensor, "window query action"]:
    """Return the logits at every prefix of a window.

    Parameters
    ----------
    policy
        Causal, one token a transition, the query last.
    transitions
        Embedded transitions x₀ … x₍ₙ₋₂₎, without positions.
    queries
        Embedded queries q₀ … q₍ₙ₋₁₎; qₜ decides after x₀ … x₍ₜ₋₁₎. One more than the transitions.
    """
    x, q = policy.place(transitions), policy.place(queries)
    *early, last = policy.layers()
    for layer in early:
        x_queries, keys, values = layer.project(x)
        q = layer.finish(q, _before_and_self(*layer.project(q), keys, values, layer.attention.bias))
        x = layer.finish(x, _causal(layer.attention, x_queries, keys, values))
    q = last.finish(q, _before_and_self(*last.project(q), *last.memory(x), last.attention.bias))
    return policy.read(q.flatten(0, 1)).view(*q.shape[:2], -1)


def some_decisions(
    policy: StackedPolicy,
    transitions: Float[Tensor, "window transition width"],
    queries: Float[Tensor, "window query width"],
    slots: Int[Tensor, " query"],
) -> Float[Tensor, "window query action"]:
    """Return the logits at some prefixes of a window only, with less work than at all of them.

    Parameters
    ----------
    policy, transitions
        As for every decision.
    queries
        Embedded queries of these prefixes.
    slots
        Slot of every query, the number of transitions before it.
    """
    x, at = policy.place(transitions), slots.expand(len(queries), -1)
    q = policy.place(queries, at)
    *early, last = policy.layers()
    for layer in early:
        x_queries, keys, values = layer.project(x)
        q = layer.finish(q, masked_attention(*layer.project(q, at), keys, values, layer.attention.bias, slots))
        x = layer.finish(x, _causal(layer.attention, x_queries, keys, values))
    q = last.finish(q, masked_attention(*last.project(q, at), *last.memory(x), last.attention.bias, slots))
    return policy.read(q.flatten(0, 1)).view(*q.shape[:2], -1)


def _causal(site: TapedAttention, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return causal attention, in float32 on a CPU, where it is faster than in bfloat16."""
    if site.bias is not None:
        return site.attend(queries, keys, values)
    with torch.autocast(queries.device.type, enabled=queries.device.type != "cpu"):
        if queries.device.type == "cpu":
            queries, keys, values = queries.float(), keys.float(), values.float()
        return functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)


def _before_and_self(
    queries: Tensor,
    own_keys: Tensor,
    own_values: Tensor,
    keys: Tensor,
    values: Tensor,
    bias: DistanceBias | None,
) -> Tensor:
    """Return the attention of each query over the keys before its slot and its own."""
    parts = (queries, own_keys, own_values, keys, values)
    if queries.device.type == "cpu" and bias is None:
        # In float32: the kernel computes so, and is slower in bfloat16.
        attended: Tensor = _MergedAttention.apply(*(part.float().contiguous() for part in parts))  # type: ignore[no-untyped-call]  # torch does not type it
        return attended
    return masked_attention(*parts, bias)


def masked_attention(
    queries: Float[Tensor, "window head query size"],
    own_keys: Float[Tensor, "window head query size"],
    own_values: Float[Tensor, "window head query size"],
    keys: Float[Tensor, "window head transition size"],
    values: Float[Tensor, "window head transition size"],
    bias: DistanceBias | None = None,
    slots: Int[Tensor, " query"] | None = None,
) -> Float[Tensor, "window head query size"]:
    """Return the same by one masked attention over both streams' keys; on any device, more work.

    Parameters
    ----------
    bias
        The addition to scores by distance, where there is one.
    slots
        Slot of every query; None: they stand at every slot from the first on.
    """
    at = torch.arange(queries.shape[2], device=queries.device) if slots is None else slots
    before = torch.arange(keys.shape[2], device=queries.device) < at[:, None]
    seen = torch.cat([before, at == at[:, None]], dim=1)
    if bias is not None:
        stands = torch.cat([torch.arange(keys.shape[2], device=queries.device), at])
        seen = bias.at(at[:, None] - stands).masked_fill(~seen, -math.inf)[None]
    both_keys, both_values = torch.cat([keys, own_keys], dim=2), torch.cat([values, own_values], dim=2)
    return functional.scaled_dot_product_attention(queries, both_keys, both_values, attn_mask=seen)


_FLASH = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001 - the public call hides the sums
_FLASH_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward  # noqa: SLF001 - as above


class _MergedAttention(torch.autograd.Function):
    """Causal flash attention over the transitions, and the query's own key merged in by the log of the sums.

    The flash backward pass takes the merged output and the merged log-sum-exp and so gives the gradients of the whole
    softmax (the merging rule of ring attention; Liu et al., 2023).
    """

    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:  # noqa: ANN401 - torch types the context so
        """Attend; the first query sees itself only."""
        queries, own_keys, own_values, keys, values = parts
        later = queries[:, :, 1:].contiguous()
        attended, log_sum = _FLASH(later, keys, values, is_causal=True)
        own = (queries * own_keys).sum(-1) / math.sqrt(queries.shape[-1])
        merged_log = own.clone()
        merged_log[:, :, 1:] = torch.logaddexp(own[:, :, 1:], log_sum.to(own.dtype))
        own_share = torch.exp(own - merged_log)[..., None]
        out = own_share * own_values
        out[:, :, 1:] += (1 - own_share[:, :, 1:]) * attended
        ctx.save_for_backward(queries, own_keys, own_values, keys, values, later, out, merged_log, own_share)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401 - torch types the context so
        """Return the gradients of all five inputs."""
        queries, own_keys, own_values, keys, values, later, out, merged_log, own_share = ctx.saved_tensors
        upstream = gradients[0].contiguous()
        d_later, d_keys, d_values = _FLASH_BACKWARD(
            upstream[:, :, 1:].contiguous(),
            later,
            keys,
            values,
            out[:, :, 1:].contiguous(),
            merged_log[:, :, 1:].contiguous(),
            dropout_p=0.0,
            is_causal=True,
        )
        d_own = own_share * (upstream * (own_values - out)).sum(-1, keepdim=True) / math.sqrt(queries.shape[-1])
        d_queries = d_own * own_keys
        d_queries[:, :, 1:] += d_later
        return d_queries, d_own * queries, own_share * upstream, d_keys, d_values
