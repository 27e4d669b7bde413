"""The study of learned compression: its page says what its logs say, its weights are there, its arms are registered."""

from __future__ import annotations

import pytest
from benchmarks.learned.running import ARMS, EPISODES, FRESH, GROUPS, MEAN_TOKENS, specification
from benchmarks.learned.subjects import ARTIFACTS, MIDWAY, TRAINEES, joined
from benchmarks.learned.writing import PAGE, spent, tables
from benchmarks.study2.writing import rewritten

REGISTRATION = PAGE.parent / "study" / "registration-learned.md"


def test_the_page_says_what_the_logs_say():
    """Written anew from the logs, the page is the same to the letter."""
    page = PAGE.read_text(encoding="utf-8")
    assert rewritten(page, tables()) == page


def test_the_trial_is_the_registered_one():
    """Its tasks are the held-out ones, its seeds, episodes, step and cut those that the registration names."""
    spec, registered = specification(), REGISTRATION.read_text(encoding="utf-8")
    assert spec.tasks.indices == TRAINEES[0].plan.task_lists().test
    assert f"{len(FRESH)} evaluation seeds ({FRESH[0]} to {FRESH[-1]}), {EPISODES} episodes" in registered
    assert f"**step {MIDWAY:,}**" in registered
    assert f"recency:{MEAN_TOKENS}" in registered
    assert {recipe.name for recipe in spec.recipes} == set(GROUPS) == {"newest", "cad", "newest-end", "cad-end"}
    assert len(spec.arms) == len(ARMS)


def test_recipes_differ_in_layout_and_windows_alone():
    """Same histories, sizes, context, steps, batch and seeds of histories."""
    newest, cad = (next(one.plan for one in TRAINEES if one.recipe == name) for name in ("newest", "cad"))
    one, other = newest.model_dump(), cad.model_dump()
    assert {name for name in one if one[name] != other[name]} == {"layout", "compressor", "evaluate_every"}


def test_the_judged_weights_are_in_the_repository_in_small_parts(tmp_path):
    """Every judged file is joined of its parts, none of over 1 MB."""
    for trainee in TRAINEES:
        whole = joined(ARTIFACTS / trainee.plan.run_name, trainee.file(tmp_path))
        assert whole.stat().st_size > 1e5
    assert max(path.stat().st_size for path in ARTIFACTS.rglob("*") if path.is_file()) <= 1e6


def test_a_file_without_parts_is_refused(tmp_path):
    """Nothing is made up where weights are not there."""
    with pytest.raises(FileNotFoundError, match="no part of it"):
        joined(tmp_path, tmp_path / "ckpt-1.pt")


def test_seconds_of_a_run_that_went_on_are_added_up():
    """The count begins anew each time; nothing else is counted twice."""
    assert spent([1.0, 2.0, 3.0]) == 3.0
    assert spent([1.0, 2.0, 0.5, 1.5]) == 3.5
