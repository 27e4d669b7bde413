"""The meaning of a trial's specification: the grid in its order, oracles named, and what cannot be refused by name."""

from __future__ import annotations

import math

import pytest

from attnscope_model.compression import default_positions
from attnscope_model.strategies import strategy
from attnscope_server.errors import ProblemError
from attnscope_server.kinds import Means, Planned
from attnscope_server.trials.kind import KIND
from attnscope_server.trials.sizing import decisions, trial_flops
from attnscope_storage.wire import MAX_CONDITIONS, TrialSpec


def refused(asked, **changes):
    """Return the problem of a specification that is refused."""
    with pytest.raises(ProblemError) as caught:
        asked(**changes)
    return caught.value.problem


def test_the_grid_is_positions_by_budgets_by_strategies(asked):
    """Condition 0 is uncompressed; then each position policy has its unbounded strategy, then every budget its
    strategies as they were named, controls last.
    """
    _, resolved = asked()
    spelled = [(one.strategy, one.budget, one.positions, one.control) for one in resolved.conditions]
    grid = [("none", None, "reindex", True)]
    for positions in ("reindex", "keep"):
        grid.append(("none", None, positions, False))
        for budget in (0.4, 8):
            grid += [("recency", budget, positions, False), ("sinks", budget, positions, False)]
            grid += [("uniform", budget, positions, True), ("random", budget, positions, True)]
    assert spelled == grid
    assert [one.index for one in resolved.conditions] == [*range(len(grid))]
    assert resolved.steps_total == len(grid) * 3 * 20


def test_tasks_that_are_all_of_the_split_are_said_to_be(asked):
    """A trial on every test task names the split, as decisions do; one on a part of them names none."""
    assert asked(tasks={"split": "test"})[1].whole_split in {"test", "held-out"}
    assert asked(tasks={"split": "test", "indices": [0, 1]})[1].whole_split is None


def test_every_condition_can_be_built_again(asked):
    """A condition's name and parameters, defaults filled in, make the strategy that its text shows."""
    _, resolved = asked(strategies=[{"name": "anchored", "parameters": {"inner": {"name": "h2o", "recent": 0.25}}}])
    for condition in resolved.conditions:
        assert str(strategy(condition.strategy, **condition.parameters)) == condition.text
    assert resolved.conditions[1].parameters["inner"]["recent"] == 0.25


def test_controls_stand_once(asked):
    """A control that the user names is not added again, none are added on request, nor beside the unbounded alone."""
    _, resolved = asked(strategies=[{"name": "uniform"}, {"name": "recency"}], budgets=[0.4], positions=["reindex"])
    assert [(one.strategy, one.control) for one in resolved.conditions[1:]] == [
        ("uniform", False),
        ("recency", False),
        ("random", True),
    ]
    assert len(asked(controls=False, budgets=[0.4], positions=["reindex"])[1].conditions) == 4
    assert len(asked(strategies=[{"name": "none"}], positions=["reindex"])[1].conditions) == 2


@pytest.mark.parametrize(
    ("changes", "oracle"),
    [
        ({"strategies": [{"name": "recency"}]}, False),
        ({"strategies": [{"name": "recency"}], "positions": ["mask"]}, True),
        ({"strategies": [{"name": "h2o"}]}, True),
        ({"strategies": [{"name": "anchored", "parameters": {"inner": {"name": "tova"}}}]}, True),
        ({"strategies": [{"name": "h2o"}], "interval": "full"}, True),
        ({"strategies": [{"name": "h2o"}], "interval": 10}, False),
        ({"strategies": [{"name": "h2o"}], "memory": "stateful"}, False),
    ],
)
def test_oracles_are_named(asked, changes, oracle):
    """Attention to the whole context at every step, and masks, see more than a compressed policy could."""
    _, resolved = asked(**({"positions": ["reindex"], "controls": False, "budgets": [0.4]} | changes))
    assert resolved.conditions[1].oracle is oracle
    assert (resolved.conditions[1].oracle_reason is not None) is oracle
    assert not resolved.conditions[0].oracle


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategies": [{"name": "nobody"}]}, "strategies.0"),
        ({"strategies": [{"name": "recency", "parameters": {"nothing": 1}}]}, "strategies.0"),
        ({"strategies": [{"name": "recency"}, {"name": "recency"}]}, "strategies.1"),
        ({"strategies": [{"name": "anchored", "parameters": {"inner": {"name": "nobody"}}}]}, "nobody"),
        ({"budgets": [10_000]}, "none of them"),
        ({"path": "cached", "memory": "stateful"}, "rotary"),
        ({"tasks": {"goals": [(90, 90)]}}, "goals"),
        ({"environment": {"id": "attnscope/DarkKeyToDoor-v0"}}, "acts in"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(asked, changes, said):
    """Unknown strategies and parameters, doubles, budgets beyond a full context and paths that do not fit: 400."""
    problem = refused(asked, **changes)
    assert problem.status == 400
    assert said in problem.detail


def test_strategies_are_not_wrapped_for_ever(asked):
    """A strategy nested deeper than four is refused, not followed."""
    deep = {"name": "recency"}
    for _ in range(30):
        deep = {"name": "anchored", "inner": deep}
    problem = refused(asked, strategies=[{"name": "anchored", "parameters": {"inner": deep}}])
    assert problem.status == 400
    assert "deep" in problem.detail


def test_too_many_conditions_are_refused_with_the_cap(asked):
    """The refusal says how many there may be and how many were asked for."""
    strategies = [{"name": "sinks", "parameters": {"sinks": number}} for number in range(1, 65)]
    budgets = [(place + 1) / 66 for place in range(64)]
    problem = refused(asked, strategies=strategies, budgets=budgets)
    assert (problem.status, problem.limit) == (413, MAX_CONDITIONS)
    assert problem.requested == 1 + 2 * 64 * 66


def test_an_estimate_grows_with_what_is_asked(asked, registry):
    """Twice the seeds are twice the decisions of rollouts and bytes; less budget is less arithmetic."""
    policy = registry.get("causal").policy
    rolled = {"speed": {"enabled": False}, "kept_steps": 0}
    one, two = asked(**rolled), asked(**rolled, seeds=[0, 3, 5, 7])
    assert decisions(*two, policy) == 2 * decisions(*one, policy)
    small, large = (trial_flops(*asked(budgets=[share]), policy) for share in (0.1, 0.9))
    assert small < large
    plans = [Planned(*asking, policy, KIND.contract.schema(*asking, policy)) for asking in (one, two)]
    costs = [KIND.estimate(planned, Means(disk_free_bytes=10**9, flops_per_second=1e9)) for planned in plans]
    assert costs[1].bytes_raw > 1.9 * costs[0].bytes_raw
    assert math.isclose(costs[1].seconds, 2 * costs[0].seconds)
    assert KIND.estimate(plans[0], Means(disk_free_bytes=1)).seconds is None


def test_an_estimate_counts_what_a_selection_looks_at(asked, registry):
    """Attention costs a whole forward a selection, leaving out in turn one for each transition; an interval divides."""
    policy = registry.get("causal").policy
    common = {"budgets": [0.2], "positions": ["reindex"], "controls": False, "speed": {"enabled": False}}

    def cost(name, **more):
        spec, resolved = asked(**common, strategies=[{"name": name}], **more)
        return trial_flops(spec, resolved, policy), decisions(spec, resolved, policy)

    blind, looking, leaving = (cost(name) for name in ("recency", "tova", "leave-one-out"))
    assert blind[0] < looking[0] < leaving[0]
    assert blind[1] == looking[1]
    assert leaving[1] == blind[1] + 4 * sum(range(60)), "60 steps of 4 rollouts, and every history in turn"
    assert cost("tova", interval=10)[0] - blind[0] == pytest.approx((looking[0] - blind[0]) / 10)
    assert cost("tova", memory="stateful")[0] == blind[0]


def test_a_specification_survives_the_wire(asked):
    """Specification and meaning read back from JSON as they were."""
    spec, resolved = asked()
    assert TrialSpec.model_validate_json(spec.model_dump_json()) == spec
    assert type(resolved).model_validate_json(resolved.model_dump_json()) == resolved


@pytest.mark.parametrize(("changes", "stands"), [({}, "keep"), ({"memory": "stateful"}, "reindex")])
def test_positions_that_nobody_names_are_the_policys(asked, changes, stands):
    """Learned absolute positions are kept where the window is stored; conditions echo it, not the specification."""
    spec, resolved = asked(positions=None, **changes)
    assert spec.positions is None
    assert {one.positions for one in resolved.conditions[1:]} == {stands}


@pytest.mark.parametrize("kind", ["rotary", "sinusoidal", "none"])
def test_other_positions_close_up_by_default(registry, kind):
    """A policy that does not know learned absolute positions closes up."""
    policy = registry.get("causal").policy.model_copy(update={"positions": kind})
    assert default_positions(policy) == "reindex"


def test_a_stored_specification_keeps_its_positions():
    """A specification of before names reindex, and goes on meaning it."""
    stored = {"checkpoint": "a", "strategies": [{"name": "recency"}], "budgets": [8], "positions": ["reindex"]}
    assert TrialSpec.model_validate(stored).positions == ("reindex",)
