"""A strategy in somebody's own loop: who is kept, through appending, cutting and selecting again."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope_model.strategies import (
    STRATEGIES,
    ContextCompressor,
    Strategy,
    StrategyError,
    ViewIncompleteError,
    strategy,
)

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "compress_a_loop.py"
EVERY = [kind() for kind in STRATEGIES.values() if not kind.oracle]


def token(number: int, envs: int, width: int = 4) -> np.ndarray:
    """Return the token of a transition, whose first number names it."""
    return np.tile(np.array([number, 1, number % 3, number % 2], np.float32)[:width], (envs, 1))[:, None]


def with_query(context: np.ndarray, step: int) -> np.ndarray:
    """Return a context with a query behind it."""
    return np.concatenate([context, token(-1 - step, len(context))], axis=1)


def facts(step: int, envs: int) -> dict[str, np.ndarray]:
    """Return what is known of the transition of a step and of the query after it."""
    env = np.arange(envs)
    return {
        "reward": ((step + env) % 5 == 0).astype(np.float32),
        "episode": np.full(envs, step // 6),
        "state": (step + env) % 4,
        "action": (step * env) % 3,
        "observation": np.stack([(step + env) % 4, env], axis=1).astype(np.float32),
        "query_observation": np.stack([(step + 1 + env) % 4, env], axis=1).astype(np.float32),
        "query_episode": np.full(envs, (step + 1) // 6),
    }


def looped(compressor: ContextCompressor, steps: int, envs: int = 2, window: int = 12, library=np.asarray) -> list:
    """Return the context after every step of a loop that slides its window itself."""
    rng = np.random.default_rng(0)
    current, seen = with_query(np.zeros((envs, 0, 4), np.float32), 0), []
    for step in range(steps):
        attention = rng.integers(1, 9, (envs, 2, 1, current.shape[1])).astype(np.float32)
        attention /= attention.sum(axis=-1, keepdims=True)
        context = np.concatenate([current[:, :-1], token(step, envs)], axis=1)[:, -window:]
        given = {name: library(value) for name, value in facts(step, envs).items()}
        current = np.asarray(
            compressor.compress_context(library(with_query(context, step + 1)), library(attention), given)
        )
        seen.append(current)
    return seen


@pytest.mark.parametrize("rule", EVERY, ids=str)
def test_every_strategy_runs_in_a_loop(rule: Strategy):
    """At most the budget where it selects, one more a step in between, the query last, identities true, torch alike."""
    compressor = ContextCompressor(rule, 4, interval=3)
    for step, context in enumerate(looped(compressor, 20)):
        history = context[:, :-1]
        assert (context[:, -1, 0] == -2 - step).all()
        if rule.bounded:
            assert 1 <= history.shape[1] <= 4 + step % 3
        if not rule.pooling:
            assert (np.diff(history[..., 0], axis=1) > 0).all()
            assert (history[:, -1, 0] == step).all() or step % 3 == 0
    if not rule.pooling:
        assert (compressor.transition == history[..., 0]).all()
    again = looped(ContextCompressor(rule, 4, interval=3), 20, library=torch.as_tensor)
    assert np.array_equal(again[-1], context) or (rule.pooling and np.allclose(again[-1], context))


@settings(max_examples=20)
@given(
    budget=st.integers(1, 9) | st.floats(0.05, 1.0),
    interval=st.integers(1, 7),
    steps=st.integers(1, 30),
    recent=st.booleans(),
)
def test_recency_in_a_loop_is_the_newest(budget, interval, steps, recent):
    """Whatever the interval, what recency leaves is the newest transitions: the budget and those since."""
    rule = strategy("recency") if recent else strategy("sinks", sinks=0)
    contexts = looped(ContextCompressor(rule, budget, interval=interval, window=12), steps)
    size = 0
    for step, context in enumerate(contexts):
        size = min(size + 1, 12)
        if step % interval == 0:
            whole = min(step + 1, 12)
            size = min(size, budget if isinstance(budget, int) else max(1, int(whole * budget + 1e-9)))
        assert context[0, :-1, 0].tolist() == list(range(step + 1 - size, step + 1))


def test_none_gives_back_what_it_got():
    """The control is the very array, so that a loop is the same bit for bit with it and without."""
    given = with_query(np.concatenate([token(0, 2), token(1, 2)], axis=1), 2)
    assert ContextCompressor(strategy("none"), 1).compress_context(given) is given


def test_attention_belongs_to_transitions():
    """Worked by hand: the decision's attention is of the context before; the new transition is not judged and kept."""
    compressor = ContextCompressor(strategy("tova"), 2, interval=1)
    first = compressor.compress_context(with_query(token(0, 1), 0), np.ones((1, 1), np.float32))
    assert first[0, :, 0].tolist() == [0, -1]
    second = compressor.compress_context(
        with_query(np.concatenate([first[:, :-1], token(1, 1)], axis=1), 1), np.array([[0.5, 0.5]], np.float32)
    )
    assert second[0, :, 0].tolist() == [0, 1, -2]
    weights = np.array([[[[0.2, 0.7, 0.1]]]], np.float32)
    third = compressor.compress_context(with_query(np.concatenate([second[:, :-1], token(2, 1)], axis=1), 2), [weights])
    assert third[0, :, 0].tolist() == [1, 2, -3]
    assert compressor.transition.tolist() == [[1, 2]]


def test_attention_of_the_given_context_is_taken_too():
    """A loop that looks before it compresses says so; every form of weights means the same."""
    row = np.array([[0.1, 0.5, 0.2, 0.2]], np.float32)
    context = with_query(np.concatenate([token(number, 1) for number in range(3)], axis=1), 0)
    forms = [row, row[:, None], row[:, None, None], row[None, :, None, None], [row, row], (row[:, None, None],)]
    for weights in forms:
        compressor = ContextCompressor(strategy("tova"), 2, attention_of="context")
        assert compressor.compress_context(context, weights)[0, :, 0].tolist() == [1, 2, -1]


def test_layouts_of_other_families():
    """A query in front stays in front; three tokens of a transition go together."""
    flat = np.arange(1, 13, dtype=np.float32).reshape(1, 12, 1)
    three = np.concatenate([flat, -np.ones((1, 1, 1), np.float32)], axis=1)
    kept = ContextCompressor(strategy("recency"), 2, tokens_per_transition=3).compress_context(three)
    assert kept[0, :, 0].tolist() == [7, 8, 9, 10, 11, 12, -1]
    front = np.concatenate([-np.ones((1, 1, 1), np.float32), flat], axis=1)
    kept = ContextCompressor(strategy("sinks", sinks=1), 3, query_slot="first").compress_context(front)
    assert kept[0, :, 0].tolist() == [-1, 1, 11, 12]


def test_histories_of_unequal_length_are_filled_up():
    """If a rule keeps fewer in one environment, that one's newest others fill the batch; nothing is padded."""
    compressor = ContextCompressor(strategy("dedup"), 4, attention_of="context")
    context = with_query(np.concatenate([token(number, 2) for number in range(5)], axis=1), 0)
    known = {"state": np.array([[0, 0, 0, 0, 0], [0, 1, 2, 3, 4]]), "action": np.zeros((2, 5), int)}
    kept = compressor.compress_context(context, None, known)
    assert kept[..., 0].tolist() == [[1, 2, 3, 4, -1], [1, 2, 3, 4, -1]]
    threshold = ContextCompressor(strategy("threshold", lift=1.5), 4, attention_of="context")
    row = np.array([[0.0, 0.9, 0, 0, 0.1, 0], [0.4, 0.4, 0, 0, 0.2, 0]], np.float32)
    assert threshold.compress_context(context, row)[..., 0].tolist() == [[1, 4, -1], [0, 1, -1]]


def test_what_cannot_be_is_refused():
    """Wrong shapes, missing facts and impossible numbers end in a sentence."""
    context = with_query(np.concatenate([token(number, 2) for number in range(3)], axis=1), 0)
    for wrong in ({"interval": 0}, {"budget": 0.5}, {"budget": 0}, {"window": 0}, {"budget": 1.5, "window": 3}):
        with pytest.raises(StrategyError):
            ContextCompressor(strategy("recency"), **({"budget": 2} | wrong))
    with pytest.raises(ViewIncompleteError, match="attention"):
        ContextCompressor(strategy("tova"), 2).compress_context(context)
    with pytest.raises(StrategyError, match="tokens a transition"):
        ContextCompressor(strategy("recency"), 2, tokens_per_transition=2).compress_context(context)
    with pytest.raises(StrategyError, match="expected attention weights of shape"):
        ContextCompressor(strategy("tova"), 2).compress_context(context, np.zeros(4, np.float32))
    with pytest.raises(StrategyError, match="expected reward of 2 environments"):
        ContextCompressor(strategy("rewards"), 2).compress_context(context, None, {"reward": np.zeros(2)})
    compressor = ContextCompressor(strategy("recency"), 2)
    compressor.compress_context(context)
    with pytest.raises(StrategyError, match="call it once a step"):
        compressor.compress_context(with_query(np.concatenate([context, context], axis=1), 1))
    tova = ContextCompressor(strategy("tova"), 2, attention_of="context")
    with pytest.raises(StrategyError, match="attention_of says whose"):
        tova.compress_context(context, np.zeros((2, 3), np.float32))


def test_the_example_loop_runs_on_a_shipped_policy(monkeypatch, capsys):
    """The reference's loop with a strategy and an interval, as it stands in examples."""
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), "3"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("everything: return ")
    assert "30.5 tokens a decision" in lines[0]
    assert lines[1].startswith("h2o(recent=0.5): return ")
