"""The study of learned compression: its page says what its arrays and logs say; its arms are those registered."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from benchmarks.learned.comparing import ARM_NAMES, QUESTIONS, answer, compared, seen_from
from benchmarks.learned.running import ARMS, EPISODES, FOLDER, FRESH, GROUPS, MEAN_TOKENS, published, specification
from benchmarks.learned.subjects import ARTIFACTS, MIDWAY, TRAINEES, joined
from benchmarks.learned.writing import PAGE, spent, tables
from benchmarks.study2.writing import rewritten

from attnscope.trials.board import board

REGISTRATION = PAGE.parent / "study" / "registration-learned.md"


@pytest.fixture(scope="module")
def results():
    """Return the published trial."""
    return published()


@pytest.fixture(scope="module")
def made(results):
    """Return the tables, computed anew."""
    return tables(results)


@pytest.fixture(scope="module")
def first(results):
    """Return the arm of the first question."""
    return compared(results, QUESTIONS[0])


def test_the_page_says_what_arrays_and_logs_say(made):
    """Written anew, the page is the same to the letter."""
    page = PAGE.read_text(encoding="utf-8")
    assert rewritten(page, made) == page


def test_the_page_s_sentences_have_the_numbers_of_its_tables(results, made):
    """Each interval of the answer is one of the table; the optimum and the random return are the trial's."""
    page = PAGE.read_text(encoding="utf-8")
    said = re.findall(r"\d\.\d{3} \[[^]]+\]", page.partition("**Answer")[2].partition("\n## ")[0])
    assert len(said) == len(QUESTIONS)
    assert [one for one in said if one not in made["answers"]] == []
    optimal, random = results.optimal_return.mean(), results.random_return.mean()
    assert f"the optimum is {optimal:.2f}, random actions return {random:.2f}" in page
    prose = re.sub(r"<!-- begin .*?<!-- end", "", page, flags=re.DOTALL)
    returns = set(re.findall(r"\b\d+\.\d\d\b", prose)) - {f"{optimal:.2f}", f"{random:.2f}"}
    assert returns
    assert returns <= set(re.findall(r"\b\d+\.\d\d\b", made["returns"]))


def test_arrays_are_those_of_the_registration(results):
    """Every registered arm is there with its tasks, seeds and episodes, and every condition is finished."""
    held_out = TRAINEES[0].plan.task_lists().test
    assert results.returns.shape == (len(results.conditions), len(FRESH), len(held_out), EPISODES)
    assert {one.arm for one in results.conditions} == set(range(len(ARMS)))
    assert len(ARM_NAMES) == len(ARMS)
    assert set(results.arrays["env/task"].ravel().tolist()) == set(held_out)
    assert results.spec == specification()


def test_changed_arrays_are_refused(tmp_path):
    """A file whose checksum is not the published one is not read."""
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes() + (b" " if path.suffix == ".json" else b""))
    with pytest.raises(ValueError, match=r"trial\.json is not the file"):
        published(tmp_path)


def test_the_trial_is_the_registered_one():
    """Its tasks are the held-out ones, its seeds, episodes, step and cut those that the registration names."""
    spec, registered = specification(), REGISTRATION.read_text(encoding="utf-8")
    assert spec.tasks.indices == TRAINEES[0].plan.task_lists().test
    assert f"{len(FRESH)} evaluation seeds ({FRESH[0]} to {FRESH[-1]}), {EPISODES} episodes" in registered
    assert f"**step {MIDWAY:,}**" in registered
    assert f"recency:{MEAN_TOKENS}" in registered
    assert {recipe.name for recipe in spec.recipes} == set(GROUPS) == {"newest", "cad", "newest-end", "cad-end"}
    assert len(spec.arms) == len(ARMS)


def test_a_comparison_with_the_first_arm_is_the_boards_own(results, first):
    """The first question's verdict is the one that a trial's summary prints."""
    own = next(one for one in board(results).recipes if one.arm == QUESTIONS[0].arm)
    assert vars(first.these.kept) == vars(own.these.kept)
    assert first.recipe.reason == own.recipe.reason


def test_another_reference_changes_places_with_the_first_arm(results):
    """Conditions are compared with the new reference, of their own checkpoint where there is one; twice is back."""
    seen = seen_from(results, 3)
    assert {seen.conditions[one.against].arm for one in seen.conditions} == {0}
    packed = [one for one in seen.conditions if one.arm == 1]
    assert [seen.conditions[one.against].checkpoint for one in packed] == [one.checkpoint for one in packed]
    assert [one.arm for one in seen_from(seen, 3).conditions] == [one.arm for one in results.conditions]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(1.01, 1.2, "**yes**"), (0.9, 0.99, "**no**"), (0.96, 1.02, "as good"), (0.9, 1.1, "undecided")],
)
def test_answers_are_those_of_the_registration(first, low, high, said):
    """Above 1 is yes, below 1 is no, and what loses at most the margin is as good."""
    verdict = replace(first.these, kept=replace(first.these.kept, low=low, high=high))
    assert answer(verdict).startswith(said)


def test_a_row_without_an_interval_over_seeds_says_why(made):
    """Two seeds over which the reference's gain is not shown are not called one seed."""
    rows = made["answers"].splitlines()[2:]
    assert "none: the gain of newest 64 is not shown over 2 seeds" in rows[0]
    assert "none: one seed" in rows[3]


def test_recipes_differ_in_layout_and_windows_alone():
    """Same histories, sizes, context, steps, batch and seeds of histories."""
    newest, cad = (next(one.plan for one in TRAINEES if one.recipe == name) for name in ("newest", "cad"))
    one, other = newest.model_dump(), cad.model_dump()
    assert {name for name in one if one[name] != other[name]} == {"layout", "compressor", "evaluate_every"}


def test_the_judged_weights_are_in_the_repository_in_small_parts(tmp_path):
    """Every judged file is joined of its parts; no file is over 1 MB, all together are under 12."""
    for trainee in TRAINEES:
        whole = joined(ARTIFACTS / trainee.plan.run_name, trainee.file(tmp_path))
        assert whole.stat().st_size > 1e5
    sizes = [path.stat().st_size for folder in (ARTIFACTS, FOLDER) for path in folder.rglob("*") if path.is_file()]
    assert max(sizes) <= 1e6
    assert sum(sizes) <= 12e6


def test_a_file_without_parts_is_refused(tmp_path):
    """Nothing is made up where weights are not there."""
    with pytest.raises(FileNotFoundError, match="no part of it"):
        joined(tmp_path, tmp_path / "ckpt-1.pt")


def test_seconds_of_a_run_that_went_on_are_added_up():
    """The count begins anew each time; nothing else is counted twice."""
    assert spent([1.0, 2.0, 3.0]) == 3.0
    assert spent([1.0, 2.0, 0.5, 1.5]) == 3.5
