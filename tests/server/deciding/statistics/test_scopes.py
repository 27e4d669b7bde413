"""Judging tasks and the words of a claim's reach."""

import pytest

from attnscope_server.deciding.statistics.look_plans import Reach
from attnscope_server.deciding.statistics.scopes import TooFewJudgesError, choose_scope


def test_eight_held_out_tasks_are_all_of_the_split():
    """All tasks of a small split judge, and the words say so; a claim beyond them is declined in words."""
    scope = choose_scope("held-out", range(8), (), beyond=True)
    assert sorted(scope.tasks) == list(range(8))
    assert scope.reach is Reach.THESE
    assert scope.words(8) == "these 8 tasks, all of the held-out split"
    assert "needs 16 unused tasks, 8 are left" in scope.notes[0]


def test_tasks_that_captured_do_not_judge():
    """Used tasks are left out, and this is said; what is left is no longer the whole split."""
    scope = choose_scope("test", range(10), {0, 1, 2})
    assert not set(scope.tasks) & {0, 1, 2}
    assert scope.words(7) == "these 7 tasks"
    assert scope.notes == ("3 test tasks captured or screened and do not judge.",)
    with pytest.raises(TooFewJudgesError, match="3 of 10 test tasks"):
        choose_scope("test", range(10), set(range(7)))


def test_many_unused_tasks_carry_a_claim_beyond():
    """With 40 unused tasks a claim beyond them has looks at 8, 16 and 32; without asking, 16 named ones judge."""
    beyond = choose_scope("test", range(45), set(range(5)), beyond=True, seed=3)
    assert (beyond.reach, len(beyond.tasks)) == (Reach.BEYOND, 32)
    assert [look.tasks for look in beyond.plan().looks] == [8, 16, 32]
    assert beyond.words(16) == "beyond the 16 test tasks judged"
    assert "a loss on one task in twenty is missing among 16 tasks in 44% of cases" in beyond.notes[-1]
    assert len(choose_scope("test", range(45), ()).tasks) == 16


def test_the_draw_is_fixed_by_its_seed():
    """The same seed draws the same tasks; another seed draws others."""
    draws = [choose_scope("test", range(200), (), seed=seed).tasks for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_one_task_judges_by_fresh_seeds():
    """An environment of one task judges itself, and its claim is on this task."""
    scope = choose_scope("test", [0], {0}, beyond=True)
    assert scope.words(1) == "this task"
    assert scope.plan(extendable=True).extendable
    assert scope.notes == ("A claim beyond one task needs more tasks.",)
