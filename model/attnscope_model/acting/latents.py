"""Decisions without single latents: what the policy would have done had one of them been hidden.

Every other token keeps its slot, so the context is the one that the policy acts in with one key fewer in every layer.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.acting.influence import BATCH_BYTES
from attnscope_model.acting.outputs import output_of
from attnscope_model.acting.replay import Replayed
from attnscope_model.errors import NotReplayableError
from attnscope_model.forward.compressing import CompressingPolicy
from attnscope_model.forward.policy import Policy


def leave_one_latent_out(policy: Policy, replayed: Replayed) -> Float[Tensor, " latent"]:
    """Return the departure of a decision without each latent of its context; none where it holds no latents.

    A departure is what the policy's head says it is; of one choice the total variation of the distributions at
    temperature 1.

    Raises
    ------
    NotReplayableError
        The policy packs nothing.
    """
    if not isinstance(policy, CompressingPolicy):
        raise NotReplayableError("the policy packs nothing, so no context of it holds latents")
    latents, output, full = replayed.summaries, output_of(policy.description), replayed.logits.double()[None]
    slots = replayed.tokens.shape[1]
    others = torch.arange(slots - 1, device=full.device)
    kept = others + (others >= torch.arange(latents, device=full.device)[:, None])  # [latent, kept]: every slot but one
    batch = max(1, BATCH_BYTES // (4 * policy.description.heads * slots * slots))
    found = [full.new_zeros(0)]
    for part in torch.split(kept, batch) if latents else ():
        logits = _decided(policy, replayed.tokens[0][part], part, latents - 1)
        found.append(output.departure(full.expand(len(part), -1), logits.double(), 1.0))
    return torch.cat(found).float()


def _decided(
    policy: CompressingPolicy, tokens: Float[Tensor, "env token width"], slots: Tensor, latents: int
) -> Float[Tensor, "env action"]:
    """Return the logits of contexts whose tokens stand in these slots, so many latents at the front."""
    with policy.opening(latents):
        x = policy.place(tokens, slots)
        *early, last = policy.layers()
        for layer in early:
            x = layer.forward(x, slots)
        return policy.read(last.decide(x, slots)[:, 0])
