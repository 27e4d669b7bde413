"""The promises of every strategy, on any context: budget, order, identities, something kept, one answer everywhere."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope_model.strategies import ContextView, Strategy, strategy
from attnscope_model.strategies.registry import strategies

EVERY = [kind() for kind in strategies().values()] + [
    strategy("anchored", inner=strategy(name), oldest=True, first_rewarded=True)
    for name in ("tova", "pooled-window", "hierarchical", "merging", "uniform")
]


@st.composite
def views(draw) -> ContextView:
    """Return a batch of histories of different lengths, padded anywhere, with many ties and unseen entries."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    batch, size = draw(st.integers(1, 4)), draw(st.integers(1, 14))
    held = rng.random((batch, size)) < draw(st.sampled_from([0.0, 0.6, 1.0]))
    attention = rng.integers(0, 4, (batch, 3, size)) / 16
    attention[rng.random(attention.shape) < 0.1] = np.nan
    expected = rng.integers(0, 3, (batch, size)) / 2
    return ContextView(
        transition=np.sort(rng.permuted(np.tile(np.arange(3 * size), (batch, 1)), axis=1)[:, :size], axis=1),
        held=held,
        reward=rng.integers(0, 2, (batch, size)).astype(np.float32),
        episode=np.sort(rng.integers(0, 4, (batch, size)), axis=1),
        query_episode=np.full(batch, 4),
        state=rng.integers(0, 3, (batch, size)),
        action=rng.integers(0, 2, (batch, size)),
        observation=rng.integers(0, 3, (batch, size, 2)).astype(float),
        query_observation=rng.integers(0, 3, (batch, 2)).astype(float),
        attention=attention,
        accumulated=rng.integers(0, 5, (batch, size)) / 4,
        expected=expected,
        keys=rng.integers(-1, 2, (batch, size, 3)).astype(float),
        influence=np.where(rng.random((batch, size)) < 0.2, np.nan, rng.integers(0, 4, (batch, size)) / 8),
        lane=np.arange(batch),
    )


def as_torch(view: ContextView) -> ContextView:
    """Return the same view in torch."""
    fields = {field.name: getattr(view, field.name) for field in dataclasses.fields(view)}
    return ContextView(**{name: None if value is None else torch.from_numpy(value) for name, value in fields.items()})


@pytest.mark.parametrize("rule", EVERY, ids=str)
@settings(max_examples=10)
@given(view=views(), budget=st.sampled_from([1, 2, 5, 30, 0.1, 0.4, 1.0]))
def test_promises(rule: Strategy, view: ContextView, budget: float):
    """At most the budget, never empty, nothing from padding, in order, weights that are shares; torch says the same."""
    plan = rule.plan(view, budget)
    count = view.held.sum(axis=1)
    limit = np.minimum(budget, count) if isinstance(budget, int) else np.maximum(np.floor(count * budget + 1e-9), 1)
    if rule.bounded:
        assert (plan.tokens <= limit).all()
    assert (plan.tokens[count > 0] >= 1).all()
    assert not (plan.used & ~view.held).any()
    assert (plan.weight[~plan.used] == 0).all()
    mixture = plan.mixture()
    token = np.arange(mixture.shape[1]) < plan.tokens[:, None]
    assert mixture.sum(axis=-1) == pytest.approx(token.astype(float))
    for row in range(len(count)):
        leaders = np.nonzero(plan.leads[row])[0]
        assert plan.group[row][leaders].tolist() == list(range(len(leaders)))
        if not rule.pools and rule.name != "anchored":
            assert (plan.leader[row][plan.used[row]] == np.nonzero(plan.used[row])[0]).all()
    first, last = plan.transitions(view.transition)
    assert (first[token] <= last[token]).all()
    assert (np.diff(np.where(token, last, last.max() + 1), axis=1) >= 0).all()
    place, there = plan.places()
    assert (there == token).all()
    assert [place[row][there[row]].tolist() for row in range(len(count))] == [
        np.nonzero(plan.leads[row])[0].tolist() for row in range(len(count))
    ]
    assert np.array_equal(plan.build(view.keys), mixture @ view.keys)
    assert not plan.pure or (plan.alone == plan.used).all()
    assert not plan.shared or (plan.leader == plan.leader[:1]).all()
    other = rule.plan(as_torch(view), budget)
    assert np.array_equal(other.leader.numpy(), plan.leader)
    assert np.allclose(other.weight.numpy(), plan.weight)


@pytest.mark.parametrize("rule", EVERY, ids=str)
@settings(max_examples=4)
@given(view=views())
def test_padding_changes_nothing(rule: Strategy, view: ContextView):
    """A history decides alike alone and padded beside others."""
    plan = rule.plan(view, 3)
    for row in range(view.held.shape[0]):
        keep = view.held[row]
        cut = {}
        for field in dataclasses.fields(view):
            value = getattr(view, field.name)[row : row + 1]
            along = {"attention": 2, "observation": 1, "keys": 1}.get(field.name, 1)
            cut[field.name] = (
                value
                if field.name in {"query_episode", "lane", "query_observation"}
                else (np.compress(keep, value, axis=along))
            )
        if keep.any():
            alone = rule.plan(ContextView(**cut), 3)
            assert np.array_equal(alone.group[0], plan.group[row][keep])


def test_none_builds_the_context_bit_for_bit():
    """The control gives back the very embeddings."""
    embeddings = torch.randn(2, 6, 4)
    view = ContextView(transition=torch.arange(12).reshape(2, 6), held=torch.ones(2, 6, dtype=torch.bool))
    assert torch.equal(strategy("none").plan(view, 1).build(embeddings), embeddings)


@pytest.mark.parametrize("rule", [rule for rule in EVERY if rule.by_place], ids=str)
def test_rules_of_places_alone_share_one_plan(rule: Strategy):
    """Histories of equal length get the first one's plan, whatever they hold; of unequal length each its own."""
    view = ContextView(transition=np.arange(80).reshape(4, 20), held=np.ones((4, 20), bool))
    plan = rule.plan(view, 7)
    assert plan.shared
    alone = rule.plan(ContextView(view.transition[2], view.held[2]), 7)
    assert not alone.shared
    assert np.array_equal(plan.leader[2], alone.leader)
    assert np.array_equal(plan.weight[2], alone.weight)
    ragged = ContextView(view.transition, np.arange(20) < np.array([[20], [20], [20], [19]]))
    assert not rule.plan(ragged, 7).shared
    assert not rule.plan(view, np.array([7, 7, 7, 6])).shared


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a statement loads in a fresh interpreter."""
    code = f"import sys\n{statement}\nprint(' '.join(sorted({{m.split('.')[0] for m in sys.modules}})))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_strategies_load_no_torch():
    """The laptop uses them without torch, also to plan."""
    use = (
        "import numpy as np\nfrom attnscope_model.strategies import ContextView, strategy\n"
        "strategy('recency').plan(ContextView(np.arange(3), np.ones(3, bool)), 1).build(np.eye(3))"
    )
    loaded = loaded_by(use)
    assert "numpy" in loaded
    assert "torch" not in loaded
    assert "torch" in loaded_by("sys.modules['torch.nn'] = sys"), "the probe can fail"
