"""Resolving a decision: who judges, who screens, what is kept, and what is refused."""

import pytest

from attnscope_server.deciding.phases.resolving import plan_of
from attnscope_server.errors import ProblemError

SHIPPED = "AD-absolute-darkroom-reference-seed0@6000"


def test_held_out_tasks_judge_and_validation_tasks_screen(asked, registry):
    """The judges are all that the checkpoint held out, the screening tasks are of its validation tasks."""
    known = registry.get(SHIPPED)
    _, resolved = asked(checkpoint=SHIPPED)
    assert {cell.index for cell in resolved.tasks} == set(known.held_out_tasks)
    assert {cell.index for cell in resolved.screening_tasks} <= set(known.validation_tasks)
    assert resolved.scope_words == "these 8 tasks, all of the held-out split"
    assert resolved.held_out


def test_judges_are_drawn_by_a_fixed_seed_and_are_at_most_16(asked):
    """A split of hundreds gives the same 16 judges to every decision, whatever its own seed."""
    name = "AD-absolute-sweeper-key-to-door-seed0@3000"
    (_, one), (_, other) = asked(checkpoint=name), asked(checkpoint=name, seeds=[7])
    assert [cell.index for cell in one.tasks] == [cell.index for cell in other.tasks]
    assert len(one.tasks) == 16
    assert one.scope_words == "these 16 tasks"


def test_tasks_that_screen_do_not_judge(asked):
    """If one list names both, the screening tasks are taken out and the scope says so."""
    goals = [[4, 5], [5, 4], [3, 4], [4, 3], [3, 3]]
    _, resolved = asked(tasks={"goals": goals}, screening={"goals": goals[:1]})
    assert len(resolved.tasks) == 4
    assert {cell.index for cell in resolved.tasks}.isdisjoint(cell.index for cell in resolved.screening_tasks)
    assert "1 named tasks captured or screened and do not judge." in resolved.scope["notes"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": {"goals": [[4, 5], [5, 4], [3, 4]]}}, "at least 4 are needed"),
        ({"budgets": [20]}, "save less than 2×"),
        ({"worth": 40}, "keeps none"),
        ({"episodes": 2, "budgets": [31], "worth": 1.0001}, "save less"),
        ({"episodes": 2, "budgets": [15], "worth": 1.5, "tasks": {"split": "test"}}, None),
    ],
)
def test_what_cannot_be_decided_is_refused_in_words(asked, changes, said):
    """Too few judges and budgets that save too little are refused; two episodes that exceed the budget are not."""
    if said is None:
        assert asked(**changes)[1].budgets == (15,)
        return
    with pytest.raises(ProblemError, match=said):
        asked(**changes)


def test_the_plan_of_a_resolved_decision_is_its_own(asked):
    """Scope, tasks, margin and cap come back from what was stored."""
    spec, resolved = asked(margin=0.1, most_rollouts=300, extendable=True)
    plan = plan_of(spec, type(resolved).model_validate_json(resolved.model_dump_json()))
    assert plan.scope.tasks == tuple(cell.index for cell in resolved.tasks)
    assert (plan.margin, plan.most_rollouts, plan.extendable) == (0.1, 300, True)
    assert resolved.most_rollouts <= 300


def test_rollouts_end_when_the_context_is_full(asked):
    """The key-to-door policy was made for a growing window and acts at random once it slides: 7 episodes."""
    _, resolved = asked(checkpoint="AD-absolute-sweeper-key-to-door-seed0@3000")
    assert (resolved.episodes, resolved.steps) == (7, 350)
