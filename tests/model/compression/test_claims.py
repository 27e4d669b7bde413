"""The policies that strategies claim to fit: they act there, on every family, and what is refused has its reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope_model.compression import Compression, unfit
from attnscope_model.compression.deciding import CompressedDecider
from attnscope_model.strategies import STRATEGIES, why_not, why_oracle

CPU = torch.device("cpu")
BUDGET, STEPS, LANES = 3, 6, 2


@pytest.mark.parametrize(
    ("positions", "memory", "path"),
    [
        ("reindex", "stateless", "recompute"),
        ("reindex", "stateful", "recompute"),
        ("keep", "stateless", "recompute"),
        ("right_align", "stateful", "recompute"),
        ("mask", "stateless", "recompute"),
        ("reindex", "stateful", "cached"),
        ("keep", "stateful", "cached"),
    ],
)
def test_every_strategy_acts_where_it_says_it_fits(families, random_steps, positions, memory, path):
    """Every family under every strategy that claims it decides with finite logits from at most the budget."""
    acted = set()
    for policy in families.values():
        told = policy.description
        if unfit(told, positions, memory, path) is not None:
            assert path == "cached"
            continue
        rules = [kind() for kind in STRATEGIES.values() if why_not(kind(), told, positions, memory, path) is None]
        acted |= {rule.name for rule in rules}
        setups = [Compression(rule, BUDGET if rule.bounded else None, positions, 1, memory, path) for rule in rules]
        decider = CompressedDecider(policy, setups, torch.arange(LANES), CPU)
        for transition in random_steps(STEPS, LANES):
            many = [np.concatenate([part] * len(rules)) for part in transition]
            if path == "cached":
                decider.pass_by(many[0])
            decider.append(*many)
        query = next(iter(random_steps(1, LANES, seed=1)))[0]
        assert decider.decide(np.concatenate([query] * len(rules))).isfinite().all()
        for rule, kept in zip(rules, decider.kept(), strict=True):
            assert all(1 <= count <= (BUDGET if rule.bounded else STEPS) for count in kept.counts), rule.name
    refused = set(STRATEGIES) - acted
    pooling = {name for name, kind in STRATEGIES.items() if kind.pools}
    oracles = {name for name, kind in STRATEGIES.items() if kind.oracle}
    expected = pooling if positions == "mask" or path == "cached" else set()
    assert refused == (expected | oracles if memory == "stateful" or path == "cached" else expected)


def test_reasons_are_said(families):
    """A refusal names strategy and cause; a condition that sees more than a compressed policy could is an oracle."""
    told = families["ad-absolute"].description
    tova, merging, bound, recency = (STRATEGIES[name]() for name in ("tova", "merging", "leave-one-out", "recency"))
    assert "merging does not fit: a masked context" in (why_not(merging, told, "mask", "stateless", "recompute") or "")
    assert "rotary" in (why_not(recency, told, "keep", "stateful", "cached") or "")
    assert "forgotten" in (why_not(bound, told, "reindex", "stateful", "recompute") or "")
    numbered = told.model_copy(update={"observation": "discrete"})
    assert "distances" in (why_not(STRATEGIES["relevant"](), numbered, "reindex", "stateless", "recompute") or "")
    assert why_oracle(recency, "reindex", "stateless", 1) is None
    assert "mask" in (why_oracle(recency, "mask", "stateless", 1) or "")
    assert "full forward" in (why_oracle(tova, "reindex", "stateless", 1) or "")
    assert why_oracle(tova, "reindex", "stateless", 10) is None
    assert why_oracle(tova, "reindex", "stateful", 1) is None
    wrapped = STRATEGIES["anchored"](inner=bound)
    assert why_oracle(wrapped, "reindex", "stateless", 10) == bound.oracle
    plain, weighted = (STRATEGIES["pooled-window"](weighted=weighted) for weighted in (False, True))
    assert why_oracle(plain, "reindex", "stateless", 1) is None
    assert why_oracle(weighted, "reindex", "stateless", 1) is not None
