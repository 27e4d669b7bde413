"""Every strategy on a context small enough to work out by hand: ten transitions, the fourth and ninth rewarded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attnscope_model.strategies import (
    STRATEGIES,
    ContextView,
    StrategyError,
    UnknownStrategyError,
    ViewIncompleteError,
    describe,
    strategy,
)

NAN = np.nan
ROWS = np.array(
    [
        [0.0, 0.1, 0.0, 0.5, 0.0, 0.0, 0.2, 0.1, NAN, NAN],
        [0.3, 0.0, 0.0, 0.2, 0.1, 0.0, 0.2, 0.1, 0.1, NAN],
    ]
)
VIEW = ContextView(
    transition=np.arange(20, 30),
    held=np.ones(10, bool),
    reward=np.array([0, 0, 0, 1, 0, 0, 0, 0, 1, 0.0]),
    episode=np.array([4, 4, 5, 5, 5, 5, 6, 6, 6, 6]),
    query_episode=np.array(6),
    state=np.array([0, 1, 0, 2, 0, 1, 0, 1, 2, 0]),
    action=np.array([0, 0, 1, 1, 0, 0, 0, 1, 1, 1]),
    observation=np.array([[0], [5], [0], [2], [0], [5], [0], [5], [2], [0]], float),
    query_observation=np.array([2.0]),
    attention=ROWS,
    accumulated=np.array([1.0, 2, 1, 4, 1, 1, 2, 1, 0.1, NAN]),
    expected=np.array([2.0, 2, 2, 1, 1, 1, 1, 0.5, 0.1, 0]),
    influence=np.array([0.2, 0.3, 0.1, 0.0, NAN, 0.3, 0.1, 0.0, 0.0, 0.05]),
    keys=np.array([[1, 0], [1, 0.1], [0, 1], [0, 1], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [-1, 0]], float),
)


def kept(spec: dict, budget: float = 4) -> list[int]:
    """Return the places that a strategy keeps as they are."""
    return np.nonzero(strategy(**spec).plan(VIEW, budget).alone)[0].tolist()


def groups(spec: dict, budget: float) -> list[list[int]]:
    """Return the places that go into each token."""
    group = strategy(**spec).plan(VIEW, budget).group
    return [np.nonzero(group == token)[0].tolist() for token in range(group.max() + 1)]


CASES = [
    ("none", {}, 4, list(range(10))),
    ("recency", {}, 4, [6, 7, 8, 9]),
    ("sinks", {"sinks": 1}, 4, [0, 7, 8, 9]),
    ("sinks", {"sinks": 4}, 2, [0, 9]),
    ("uniform", {}, 4, [2, 4, 7, 9]),
    ("uniform", {}, 1, [9]),
    ("episodes", {"episodes": 1}, 8, [6, 7, 8, 9]),
    ("episodes", {"episodes": 2}, 5, [5, 6, 7, 8, 9]),
    # Entry 9 has no attention yet and comes first; then 0.3, and of the two 0.2 the newer.
    ("tova", {}, 3, [0, 6, 9]),
    # Half the budget to the newest two; the heaviest lifts of the rest: 4, then 2 at entry 7 rather than at 6.
    ("h2o", {"recent": 0.5}, 4, [3, 7, 8, 9]),
    # Means of two rows: 0.15, 0.05, 0, 0.35, 0.05, 0, 0.2, 0.1, 0.1 (one row), unseen.
    ("snapkv", {"rows": 2, "kernel": 1}, 4, [0, 3, 6, 9]),
    # Only the last row, smoothed over three: place 7 has (0.2 + 0.1 + 0.1) / 3, place 0 (0.3 + 0) / 2.
    ("snapkv", {"rows": 1, "kernel": 3}, 3, [0, 7, 9]),
    # 0.3 + 0.2 + 0.2 = 0.7 of 1.0, and the entry that nothing has judged.
    ("nucleus", {"mass": 0.7}, 8, [0, 3, 6, 9]),
    # The mean of nine judged entries is 0.111.
    ("threshold", {"lift": 1.0}, 8, [0, 3, 6, 9]),
    # Entry 3 is alike 8 and 6 like newer ones; 0 is alike 5: without any likeness the negative key of 9 stands alone.
    ("redundancy", {"balance": 0.0}, 1, [9]),
    ("redundancy", {"balance": 1.0, "rows": 2}, 3, [3, 6, 9]),
    ("rewards", {"share": 0.5}, 4, [3, 7, 8, 9]),
    ("rewards", {"share": 0.25}, 4, [6, 7, 8, 9]),
    # (s, a) repeats: 0, 4 by 6; 1 by 5; 2 by 9; 3 by 8.
    ("dedup", {}, 10, [5, 6, 7, 8, 9]),
    ("dedup", {}, 2, [8, 9]),
    # The query is at 2: places 3 and 8 are there, then distance 2 newest first.
    ("relevant", {}, 4, [3, 6, 8, 9]),
    # Entry 4 was not tried and comes first; then both 0.3, then 0.2.
    ("leave-one-out", {}, 4, [0, 1, 4, 5]),
    # Starts at 2 and 6; place 0 is where the window was cut, not a start. Two left for the newest.
    ("anchored", {}, 4, [2, 6, 8, 9]),
    ("anchored", {"starts": False, "oldest": True, "first_rewarded": True}, 4, [0, 3, 8, 9]),
    ("anchored", {"inner": {"name": "tova"}}, 4, [0, 2, 6, 9]),
]


@pytest.mark.parametrize(("name", "parameters", "budget", "expected"), CASES)
def test_hand_worked_selections(name, parameters, budget, expected):
    """The entries that each rule keeps are those worked out by hand."""
    assert kept({"name": name, **parameters}, budget) == expected


def test_random_is_lifelong_and_differs_between_rollouts():
    """A transition keeps its number while the window slides; rollouts draw their own."""
    long = ContextView(transition=np.arange(400), held=np.ones(400, bool))
    later = ContextView(transition=np.arange(100, 500), held=np.ones(400, bool))
    first = strategy("random").plan(long, 0.5).used
    second = strategy("random").plan(later, 0.5).used
    assert (first[100:] == second[:300]).mean() > 0.95
    other = ContextView(transition=np.arange(400), held=np.ones(400, bool), lane=np.array(1))
    assert 0.3 < (strategy("random").plan(other, 0.5).used == first).mean() < 0.7


def test_decay_prefers_the_newest_at_its_rate():
    """Over many rollouts the newest is kept far more often than the oldest, and with rate 0 equally often."""
    view = ContextView(
        transition=np.tile(np.arange(10), (2000, 1)), held=np.ones((2000, 10), bool), lane=np.arange(2000)
    )
    share = strategy("decay", rate=0.5).plan(view, 1).used.mean(axis=0)
    weight = np.exp(-0.5 * np.arange(10, 0, -1))
    assert share == pytest.approx(weight / weight.sum(), abs=0.03)
    flat = strategy("decay", rate=0.0).plan(view, 1).used.mean(axis=0)
    assert flat == pytest.approx(0.1, abs=0.03)


def test_the_guides_window_and_summaries():
    """Three of the newest stay; the older seven become two means weighted by the last row."""
    spec = {"name": "pooled-window", "summaries": 2}
    assert groups(spec, 5) == [[0, 1, 2, 3], [4, 5, 6], [7], [8], [9]]
    plan = strategy(**spec).plan(VIEW, 5)
    assert plan.weight.tolist() == pytest.approx([0.6, 0, 0, 0.4, 1 / 3, 0, 2 / 3, 1, 1, 1])
    tokens = plan.build(np.eye(10))
    assert tokens.shape == (5, 10)
    assert tokens[0].tolist() == pytest.approx([0.6, 0, 0, 0.4, 0, 0, 0, 0, 0, 0])
    assert groups(spec, 1) == [[9]]


def test_the_guides_hierarchy():
    """The newest stay, the next are paired, older ones pooled by fours; the oldest go where the budget ends."""
    spec = {"name": "hierarchical", "fine": 2, "middle": 6}
    assert groups(spec, 10) == [[0, 1, 2, 3], [4, 5], [6, 7], [8], [9]]
    assert groups(spec, 3) == [[6, 7], [8], [9]]
    view = ContextView(transition=np.arange(159), held=np.ones(159, bool))
    assert strategy("hierarchical").plan(view, 159).tokens == 48


def test_merging_cuts_where_neighbours_differ():
    """Runs of alike keys become one token each; identities name their first and last transition."""
    spec = {"name": "merging"}
    assert groups(spec, 5) == [[0, 1], [2, 3], [4, 5], [6, 7, 8], [9]]
    first, last = strategy(**spec).plan(VIEW, 5).transitions(VIEW.transition)
    assert first.tolist() == [20, 22, 24, 26, 29]
    assert last.tolist() == [21, 23, 25, 28, 29]


def test_every_strategy_has_a_hand_worked_case():
    """A strategy has one in this file, or a test file of its own beside it in `rules`, named like its module."""
    worked = {case[0] for case in CASES} | {"random", "decay", "pooled-window", "hierarchical", "merging"}
    assert worked <= set(STRATEGIES)
    own = {path.stem for path in (Path(__file__).parent / "rules").glob("test_*.py")}
    modules = {name: kind.__module__.rpartition(".")[2] for name, kind in STRATEGIES.items() if name not in worked}
    assert [name for name, module in modules.items() if f"test_{module}" not in own] == []


def test_budgets_are_tokens_or_shares():
    """A whole number is tokens, a float a share rounded down and one token at least; anything else is refused."""
    assert len(kept({"name": "recency"}, 0.25)) == 2
    assert len(kept({"name": "recency"}, 0.01)) == 1
    assert len(kept({"name": "recency"}, 1.0)) == 10
    assert len(kept({"name": "recency"}, 99)) == 10
    for wrong in (0, -1, 0.0, 1.5):
        with pytest.raises(StrategyError):
            strategy("recency").plan(VIEW, wrong)


def test_what_is_missing_is_named():
    """A view without what the rule looks at is refused, wrapped rules included; so are unknown names."""
    bare = ContextView(transition=VIEW.transition, held=VIEW.held)
    with pytest.raises(ViewIncompleteError, match="accumulated, expected"):
        strategy("h2o").plan(bare, 2)
    with pytest.raises(ViewIncompleteError, match="attention"):
        strategy("anchored", inner={"name": "tova"}, starts=False, oldest=True).plan(bare, 2)
    with pytest.raises(ViewIncompleteError, match="episode"):
        strategy("anchored").plan(bare, 2)
    with pytest.raises(UnknownStrategyError, match="sinks"):
        strategy("recency", sinks=3)
    with pytest.raises(UnknownStrategyError, match="there are none, recency"):
        strategy("newest")


def test_specifications_read_back():
    """A strategy's JSON makes the same strategy, wrapped ones too, and each says what it is."""
    wrapped = strategy("anchored", inner=strategy("snapkv", rows=3), oldest=True)
    assert strategy(**wrapped.spec) == wrapped
    for kind in STRATEGIES.values():
        assert strategy(**kind().spec) == kind()
        assert describe(kind).summary.endswith(".")
