"""The second study: its page says what its arrays say, and its measures find what is planted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.checksums import SUMS
from benchmarks.study2.measures import (
    best_kept,
    better_positions,
    by_positions,
    by_task,
    confirmed,
    dips,
    kept_of,
    regrets,
    within_budgets,
    within_rules,
)
from benchmarks.study2.published import FOLDER, Published, published
from benchmarks.study2.subjects import DECISIONS, DIP_COUNTS, SUBJECTS
from benchmarks.study2.writing import PAGE, rewritten

REGISTRATION = FOLDER.parent / "registration-2.md"


@pytest.fixture(scope="module")
def policies():
    """Return the published policies."""
    return published()


@pytest.fixture
def planted():
    """Return a policy whose arms' costs follow from their departures: rules first, then counts, then positions."""
    subject = replace(
        SUBJECTS[0], counts=(16, 8), judges=4, episodes=4, rules=("recency", "uniform", "random", "sinks")
    )
    arms = subject.arms
    rule = np.array([subject.rules.index(arm.rule.name) for arm in arms])
    count = np.array([subject.counts.index(arm.budget) for arm in arms])
    place = np.array([arm.positions == "reindex" for arm in arms])
    cost = 0.02 * rule + 0.1 * count + 0.05 * place
    noise = np.random.default_rng(1).normal(0, 0.02, (2, 4, 4))
    departure = np.broadcast_to(cost[None, :, None], (4, len(arms), 3)) * np.array([[[0.5, 1, 1.5]]])
    arrays = {
        "screen/departure": departure,
        "screen/signed": -departure,
        "screen/retained": 1 - departure,
        "screen/kept": np.ones(departure.shape),
        "decision/live": np.ones((4, 3)),
        "decision/follows": np.ones((4, 3)),
        "task": np.array([0, 0, 1, 1]),
        "random": np.ones(4),
        "plain": 11 + noise,
        "return": 1 + 10 * (1 - cost[:, None, None, None]) + noise,
        "pick": np.array([0, 8]),
        "begins": np.tile([0, 20, 40, 60], (3, 1)),
        "dips/task": np.array([0, 1]),
        "dips/decision/live": np.ones((2, 3)),
        "dips/decision/follows": np.ones((2, 3)),
        "dips/screen/departure": np.where(np.array(DIP_COUNTS * 2)[None, :, None] == 39, 0.1, 0.3)
        * np.ones((2, 24, 3)),
        "dips/screen/signed": np.zeros((2, 24, 3)),
    }
    return Published(subject, arrays)


def test_arrays_are_those_of_the_registration(policies):
    """Every policy has the arms, tasks, seeds, episodes and decisions that were registered."""
    registered = REGISTRATION.read_text(encoding="utf-8")
    for subject in SUBJECTS:
        counts = ", ".join(map(str, subject.counts))
        assert f"| {subject.key} | `{subject.checkpoint}`" in registered
        assert f"| {subject.role} | {subject.episodes} | {counts} | {subject.judges} × {subject.seeds} |" in registered
    for policy in policies:
        subject = policy.subject
        shape = (len(subject.arms), subject.seeds, subject.judges, subject.episodes)
        assert policy.arrays["return"].shape == shape
        assert policy.arrays["screen/departure"].shape == (32, len(subject.arms), DECISIONS // 32)


def test_the_arrays_are_small_and_their_checksums_hold(policies, tmp_path):
    """All files together have under 3 MB; another file than the published one is refused."""
    assert sum(path.stat().st_size for path in FOLDER.glob("*.npz")) < 3e6
    sums = (FOLDER / SUMS).read_text(encoding="utf-8").splitlines()
    assert len(sums) == len(policies)
    name = sums[0].split("  ")[1]
    (tmp_path / SUMS).write_text(sums[0] + "\n")
    (tmp_path / name).write_bytes((FOLDER / name).read_bytes() + b"0")
    with pytest.raises(ValueError, match="checksum"):
        published(tmp_path)


def test_planted_costs_are_ranked(planted):
    """With costs that are departures both correlations are 1 and a signed loss that is its opposite has −1."""
    assert within_rules(planted).found.value == pytest.approx(1)
    found = within_budgets(planted)
    assert found["departure"].found.value == pytest.approx(1)
    assert found["signed loss"].found.value == pytest.approx(-1)
    assert found["retained attention"].found.value == pytest.approx(1)
    assert found["departure"].ceiling == pytest.approx(1)
    assert within_rules(planted, "signed loss").found.value == pytest.approx(-1)
    assert better_positions(planted, "departure") == 1
    assert better_positions(planted, "signed loss") == 0


def test_equal_arms_are_merged_before_rules_are_ranked(planted):
    """Two rules that kept and decided the same are one of the three that are left."""
    same = planted.arrays["screen/departure"].copy()
    same[:, 3::4] = same[:, 0::4]
    merged = Published(planted.subject, {**planted.arrays, "screen/departure": same})
    assert len(merged.single) == 12
    assert within_budgets(merged)["departure"].found.rollouts == 3


def test_planted_regret_and_kept_shares(planted):
    """The best arm's pick loses nothing; the signed vote's first choice loses what was planted; shares are kept."""
    found = regrets(planted)
    assert found["the race's pick"].value == pytest.approx(0, abs=0.01)
    assert found["recency"].value == pytest.approx(0, abs=0.01)
    assert found["first by signed loss"].value == pytest.approx(0.06, abs=0.01)
    assert found["best of the votes' first three"].value == pytest.approx(0, abs=0.01)
    assert best_kept(planted) == pytest.approx(1, abs=0.01)
    assert kept_of(planted, 8).point == pytest.approx(0.9, abs=0.005)
    assert by_task(planted, 8) == pytest.approx([0.9] * 4, abs=0.005)
    assert confirmed(planted) is None
    means = by_positions(planted)
    assert means["keep"] - means["reindex"] == pytest.approx(0.05, abs=1e-4)


def test_a_planted_dip_is_found(planted):
    """A count with a third of its neighbours' departure is a dip, under both position policies."""
    assert dips(planted) == {"keep": [39], "reindex": [39]}


def test_a_page_without_marks_is_refused():
    """A table that has no place on the page is an error, and not left out."""
    with pytest.raises(ValueError, match="no marks for picks"):
        rewritten("A page.", {"picks": "| a |"})


def test_the_page_is_a_page_of_the_docs():
    """The page and its three figures are there."""
    page = PAGE.read_text(encoding="utf-8")
    figures = [part.split(")")[0] for part in page.split("](") if part.startswith("images/study/second-")]
    assert len(figures) == 3
    assert all((PAGE.parent / Path(one)).exists() for one in figures)
