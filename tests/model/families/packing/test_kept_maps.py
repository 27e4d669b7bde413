"""Whole maps of some environments: the same numbers as those of all, in memory that holds no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from attnscope_model.acting.remembering import deciding

CPU = torch.device("cpu")
ENVS, KEPT, STEPS = 10, [1, 9], 48


def maps_of(policy, actions, kept):
    """Return the decisions with maps after a few and after many transitions, of the environments that are kept."""
    decider = deciding(policy, ENVS, CPU, map_envs=kept)
    random = np.random.default_rng(0)
    found = []
    for step in range(STEPS):
        before, after = random.integers(0, 5, (2, ENVS, 2))
        if step in {6, STEPS - 1}:
            decision = decider.decide(before, rows=True, maps=True)
            found.append((decider.window.length, replace(decision, rows=decision.rows.clone())))
        decider.append(before, random.integers(0, actions, ENVS), np.zeros(ENVS), after)
    return found


@pytest.mark.parametrize("subject", ["causal", "noncausal", "cad", "rad"])
def test_maps_of_some_environments_are_those_of_all(policies, packing, subject):
    """A growing window, whole contexts over two tiles, and packed histories: float16, NaN past the context."""
    policy = policies[subject] if subject in policies else packing[subject].policy
    described = policy.description
    whole, some = (maps_of(policy, described.actions, kept) for kept in (None, KEPT))
    for (length, every), (_, kept) in zip(whole, some, strict=True):
        slots = described.context_length
        assert kept.maps.shape == (2, described.layers, described.heads, slots, slots)
        assert kept.maps.dtype == torch.float16
        assert every.maps.shape[0] == ENVS
        assert (kept.maps - every.maps[KEPT])[..., :length, :length].abs().max() < 1e-3
        assert kept.maps[..., length:, :].isnan().all()
        assert kept.maps[..., length:].isnan().all()
        query = -1 if described.query_slot == "last" else 0
        row = kept.maps[..., :length, :length][..., query, :]
        assert (row - every.rows[KEPT][..., :length]).abs().max() < 1e-3
        assert torch.equal(every.logits, kept.logits)
