"""Decisions without single latents, against a forward by hand in which nobody sees the one that is left out."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attnscope_model.acting.latents import leave_one_latent_out
from attnscope_model.acting.packing import PackedHistory
from attnscope_model.errors import NotReplayableError
from attnscope_model.forward.compressing import opened_mask


def replayed(subject, steps):
    """Return what a replay has of the decision after so many golden steps, of the first environment."""
    policy, golden = subject.policy, subject.golden
    held = PackedHistory(policy.compressor, policy.description.tokens_per_transition)

    def one(name, step):
        return torch.from_numpy(golden[name][step, :1])

    with torch.inference_mode():
        for step in range(steps):
            parts = (one(name, step) for name in ("observation", "action", "reward", "next_observation"))
            held.append(policy.embed_transition(*parts))
        tokens = held.tokens(policy.embed_query(one("observation", steps)))
        logits = policy(tokens, held.summaries)[0]
    return SimpleNamespace(tokens=tokens, logits=logits, summaries=held.summaries)


def by_hand(subject, found, latent):
    """Return the logits where one latent is seen by itself alone."""
    policy, count = subject.policy, found.tokens.shape[1]
    opened = found.summaries if policy.description.family == "cccad-cad" else 0
    allowed = opened_mask(count, opened, torch.device("cpu"))
    allowed[:, latent] = False
    allowed[latent, latent] = True
    x = policy.place(found.tokens)
    for layer in policy.layers():
        queries, keys, values = layer.project(x)
        scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
        x = layer.finish(x, torch.softmax(scores.masked_fill(~allowed, -math.inf), dim=-1) @ values)
    return policy.read(x[:, -1])[0]


def test_a_latent_that_is_left_out_is_one_that_nobody_sees(subject):
    """Departures are the total variation from the whole decision, with every other token in its place."""
    third = int(subject.golden["compression_step"][2])
    found = replayed(subject, third + 3)
    assert np.abs(found.logits.numpy() - subject.golden["logits"][third + 3, 0]).max() <= subject.allowed
    with torch.inference_mode():
        left = leave_one_latent_out(subject.policy, found)
        shares = torch.softmax(found.logits, dim=-1)
        others = [torch.softmax(by_hand(subject, found, latent), dim=-1) for latent in range(found.summaries)]
    expected = torch.stack([(shares - other).abs().sum() / 2 for other in others])
    assert left.shape == (subject.policy.description.latents,)
    assert (left - expected).abs().max() < 1e-5
    assert left.max() > 1e-3


def test_the_lone_query_has_none(subject):
    """Right after a compression no latent is in view."""
    found = replayed(subject, int(subject.golden["compression_step"][1]) + 1)
    assert leave_one_latent_out(subject.policy, found).shape == (0,)


def test_a_policy_that_packs_nothing_has_none():
    """It is refused in words."""
    with pytest.raises(NotReplayableError, match="packs nothing"):
        leave_one_latent_out(SimpleNamespace(), SimpleNamespace())
