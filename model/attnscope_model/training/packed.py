"""The training forward of policies that pack their history: some decisions of each window, taken as at inference.

A window is a rollout that begins with its first transition. Its latents are packed by the histories that act
(`attnscope_model.acting.packing`), compression after compression, and gradients go through all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.acting.packing import PackedHistory
from attnscope_model.forward.compressing import CompressingPolicy
from attnscope_model.training.windows import Batch


def packed_logits(policy: CompressingPolicy, batch: Batch, steps: Sequence[int]) -> Float[Tensor, "window step action"]:
    """Return the logits of every window's decisions at these steps.

    Parameters
    ----------
    policy
        Packs as soon as its context is full.
    batch
        Windows, longer than a context where latents are to be learned.
    steps
        Steps of the window, rising.
    """
    windows, length = batch.actions.shape
    embedded = policy.embed_transition(
        batch.observations[:, :-1].flatten(0, 1),
        batch.actions[:, :-1].flatten(),
        batch.rewards[:, :-1].flatten(),
        batch.next_observations[:, :-1].flatten(0, 1),
    ).view(windows, length - 1, -1, policy.description.width)
    history = PackedHistory(policy.compressor, policy.description.tokens_per_transition)
    contexts: dict[tuple[int, int], list[tuple[int, Tensor]]] = {}
    last = steps[-1]
    for step in range(last + 1):
        if step in steps:
            tokens = history.tokens(policy.embed_query(batch.observations[:, step]))
            contexts.setdefault((tokens.shape[1], history.summaries), []).append((step, tokens))
        if step < last:
            history.append(embedded[:, step])
    found: dict[int, Tensor] = {}
    for (_, summaries), alike in contexts.items():
        logits = policy(torch.cat([tokens for _, tokens in alike]), summaries)
        found |= dict(zip([step for step, _ in alike], logits.split(windows), strict=True))
    return torch.stack([found[step] for step in steps], dim=1)
