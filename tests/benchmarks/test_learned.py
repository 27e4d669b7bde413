"""The study of learned compression: its page says what its arrays and logs say; its arms are those registered."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from benchmarks.learned.ages import BANDS, LEFT, by_age, packing, published_ages
from benchmarks.learned.comparing import answer, compared, seen_from
from benchmarks.learned.running import FOLDER, FRESH, Part, everything, joined, published, specification, tasks
from benchmarks.learned.settings import DOOR, HALFWAY, RUN, SEARCH, SETTINGS, SWEEP
from benchmarks.learned.subjects import ARTIFACTS, HALF, KEPT, PLANS, TRAINEES, WITH_WEIGHTS, of_recipes
from benchmarks.learned.weights import halved, widened
from benchmarks.learned.writing import PAGE, spent, tables
from benchmarks.study2.writing import rewritten

from attnscope.trials.board import board

REGISTRATIONS = {
    setting.key: PAGE.parent / "study" / f"registration-learned-{number}.md"
    for setting, number in ((SWEEP, 2), (SEARCH, 2), (DOOR, 3))
}


@pytest.fixture(scope="module")
def trials():
    """Return the published trials."""
    return everything()


@pytest.fixture(scope="module")
def made(trials):
    """Return the tables, computed anew."""
    return tables(trials, published_ages())


@pytest.fixture(scope="module")
def first(trials):
    """Return the arm of the first study's first question."""
    return compared(trials[HALFWAY.key], HALFWAY.questions[0])


def test_the_page_says_what_arrays_and_logs_say(made):
    """Written anew, the page is the same to the letter."""
    page = PAGE.read_text(encoding="utf-8")
    assert rewritten(page, made) == page


def test_the_page_s_sentences_have_the_numbers_of_its_tables(trials, made):
    """Each interval, return and departure of a sentence stands in a table; optimum and random are a trial's."""
    page = PAGE.read_text(encoding="utf-8")
    prose = re.sub(r"<!-- begin .*?<!-- end", "", page, flags=re.DOTALL)
    said = re.findall(r"\d\.\d{3} \[[^]]+\]", prose)
    whole = "\n".join(made.values())
    assert len(said) >= 4
    assert [one for one in said if one not in whole] == []
    ends = set()
    for setting, words in ((SWEEP, "the optimum is {}, random actions return {}"), (DOOR, "in key-to-door {} and {}")):
        own = [f"{getattr(trials[setting.key], f'{name}_return').mean():.2f}" for name in ("optimal", "random")]
        assert words.format(*own) in page
        ends |= set(own)
    returns = set(re.findall(r"(?<![\d.])\d+\.\d\d\d?(?!\d)", re.sub(r"\d\.\d{3} \[[^]]+\]", "", prose)))
    known = set(re.findall(r"(?<![\d.])\d+\.\d\d\d?(?!\d)", whole)) | ends
    assert returns
    assert returns <= known


@pytest.mark.parametrize("setting", RUN, ids=lambda one: one.key)
def test_arrays_are_those_of_the_registration(setting, trials):
    """Every registered arm is there with its tasks, seeds and episodes, and every condition is finished."""
    results, held_out = trials[setting.key], tasks(setting)
    assert results.returns.shape == (len(results.conditions), len(FRESH), len(held_out), setting.episodes)
    assert set(held_out) <= set(of_recipes(setting.recipes)[0].plan.task_lists().test)
    assert {one.arm for one in results.conditions} == set(range(len(setting.arms)))
    assert set(results.arrays["env/task"].ravel().tolist()) == set(held_out)
    assert results.spec == specification(setting)


def test_changed_arrays_are_refused(tmp_path):
    """A file whose checksum is not the published one is not read."""
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes() + (b" " if path.suffix == ".json" else b""))
    with pytest.raises(ValueError, match=r"sweep\.json is not the file"):
        published(SWEEP, tmp_path)


def test_the_trials_are_the_registered_ones():
    """Seeds, episodes, counts, steps, training seeds and questions are those that the registration names."""
    for setting in RUN:
        registered = " ".join(REGISTRATIONS[setting.key].read_text(encoding="utf-8").split())
        assert re.search(
            rf"{len(FRESH)} evaluation seeds \({FRESH[0]} to {FRESH[-1]}[^)]*\), {setting.episodes} episodes",
            registered,
        )
        rules = [arm.get("strategy", {}).get("parameters", {}).get("newest") for arm in setting.arms.values()]
        assert f"`latents:newest={max(filter(None, rules))}`" in registered
        assert {one.recipe for one in of_recipes(setting.recipes)} == set(setting.recipes)
        assert all(f"{one.step:,}" in registered for one in of_recipes(setting.recipes))
    assert SEARCH.questions[:-1] == DOOR.questions[:-1] == SWEEP.questions


def test_parts_by_training_seed_are_joined_to_the_whole_trial(trials):
    """Each condition of the trial is that of the part which holds it, wherever it stands there."""
    results = trials[SWEEP.key]
    seeds = [re.search(r"-seed(\d)@3000", one.checkpoint_name) for one in results.conditions]
    parts = []
    for seed in "102":
        own = [
            one for one, found in zip(results.conditions, seeds, strict=True) if (found[1] if found else "0") == seed
        ]
        told = [one.model_copy(update={"index": place}) for place, one in enumerate(reversed(own))]
        resolved = results.resolved.model_copy(update={"conditions": tuple(told)})
        values = results.returns[[one.index for one in reversed(own)]]
        parts.append(Part(resolved, {"trial/return": values}))
    assert np.array_equal(joined(parts, results.resolved, "trial/return"), results.returns)
    with pytest.raises(LookupError, match="rolled out or published"):
        joined(parts[1:], results.resolved, "trial/return")


def test_arms_are_cut_to_as_many_tokens_as_packing_keeps(made):
    """A count that the newest tokens are cut to is within a token of the mean of what packing keeps."""
    for setting in RUN:
        lines = made[f"{setting.key}-returns"].splitlines()[2:]
        kept = {name: float(line.split("|")[5]) for name, line in zip(setting.names, lines, strict=True)}
        names = setting.names
        assert abs(kept[names[2]] - kept[names[1]]) < 1
        assert abs(kept[names[5]] - kept[names[4]]) < 1


def test_a_comparison_with_the_first_arm_is_the_boards_own(trials, first):
    """The first question's verdict is the one that a trial's summary prints."""
    own = next(one for one in board(trials[HALFWAY.key]).recipes if one.arm == HALFWAY.questions[0].arm)
    assert vars(first.these.kept) == vars(own.these.kept)
    assert first.recipe.reason == own.recipe.reason


def test_another_reference_changes_places_with_the_first_arm(trials):
    """Conditions are compared with the new reference, of their own checkpoint where there is one; twice is back."""
    results = trials[HALFWAY.key]
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
    rows = made["halfway-answers"].splitlines()[2:]
    assert "none: the gain of newest 64 is not shown over 2 seeds | no word" in rows[0]
    assert "none: one seed | no word" in rows[3]


def test_every_setting_has_all_its_questions_answered(made):
    """A table of answers has one line a registered question."""
    for setting in SETTINGS:
        assert len(made[f"{setting.key}-answers"].splitlines()) == 2 + len(setting.questions)


def test_departures_are_of_every_policy_that_packs_and_told_apart_by_age(trials):
    """Every decision of eight rollouts is there; bands of ages are disjoint, and none is before a compression."""
    ages = published_ages()
    own = [one for setting in RUN for one in packing(setting)]
    assert set(ages) == {one.name for one in own}
    for one in own:
        assert ages[one.name].shape == (2, 8, 400)
        setting = next(setting for setting in RUN if one.recipe in setting.recipes)
        results = trials[setting.key]
        policy = results.policy_of(next(other.index for other in results.conditions if other.arm == 1))
        for way, newest in enumerate(LEFT[one.recipe]):
            found = dict(by_age(ages[one.name][way], policy, newest))
            assert set(found) <= set(BANDS)
            before = policy.packed_at
            assert sum(values.size for values in found.values()) == 8 * (400 - before)
            assert np.allclose(ages[one.name][way][:, :before], 0, atol=1e-3)  # nothing was packed, so nothing departs


def test_recipes_of_a_setting_differ_in_layout_and_windows_alone():
    """Same histories, sizes, context, steps and seeds of histories."""
    for setting in RUN:
        newest, cad = (PLANS[name].model_dump() for name in setting.recipes[:2])
        differing = {name for name in newest if newest[name] != cad[name]}
        assert {"layout", "compressor"} <= differing <= {"layout", "compressor", "recipe"}
        batch = newest["recipe"].pop("batch"), cad["recipe"].pop("batch")
        assert batch == ((16, 16) if setting is SWEEP else (32, 16))
        assert newest["recipe"] == cad["recipe"]


def test_the_sweep_s_judged_weights_are_in_the_repository_in_half_precision():
    """Every judged policy has its log and plan; no file is over 1 MB, all artifacts together are under 12."""
    for trainee in TRAINEES:
        assert all((ARTIFACTS / trainee.folder / name).is_file() for name in KEPT)
    kept = of_recipes(WITH_WEIGHTS)
    for trainee in kept:
        half = torch.load(ARTIFACTS / trainee.folder / HALF, weights_only=True)
        assert {one.dtype for one in half["model"].values()} <= {torch.float16, torch.int64}
        assert half["step"] == trainee.step
    files = [path for folder in (ARTIFACTS.parent, FOLDER) for path in folder.rglob("*") if path.is_file()]
    assert {path.parent.name for path in ARTIFACTS.rglob(HALF)} == {one.folder for one in kept}
    assert max(path.stat().st_size for path in files) <= 1e6
    assert sum(path.stat().st_size for path in files) <= 12e6


def test_half_precision_and_back_keeps_what_is_judged(tmp_path):
    """Weights are rounded once: what was widened and is halved again is the same, and whole numbers stay whole."""
    weights = torch.randn(3, 4)
    torch.save({"step": 7, "config": {"n": 1}, "model": {"a": weights, "n": torch.arange(3)}}, tmp_path / "whole.pt")
    wide = widened(halved(tmp_path / "whole.pt", tmp_path / "half.pt"), tmp_path / "wide.pt")
    content = torch.load(wide, weights_only=True)
    assert torch.equal(content["model"]["a"], weights.half().float())
    assert torch.equal(content["model"]["n"], torch.arange(3))
    again = torch.load(halved(wide, tmp_path / "again.pt"), weights_only=True)
    assert torch.equal(again["model"]["a"], weights.half())
    assert again["step"] == 7


def test_weights_too_large_for_half_precision_are_refused(tmp_path):
    """No infinite weight is kept."""
    torch.save({"step": 1, "model": {"a": torch.tensor([1e6])}}, tmp_path / "whole.pt")
    with pytest.raises(ValueError, match="a: a weight is too large"):
        halved(tmp_path / "whole.pt", tmp_path / "half.pt")


def test_seconds_of_a_run_that_went_on_are_added_up():
    """The count begins anew each time; nothing else is counted twice."""
    assert spent([1.0, 2.0, 3.0]) == 3.0
    assert spent([1.0, 2.0, 0.5, 1.5]) == 3.5
