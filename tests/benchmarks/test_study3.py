"""The third study: its page says what its arrays say, and the screen's doubts are counted against the boards."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.checksums import SUMS
from benchmarks.study2.subjects import DECISIONS, DIP_COUNTS, POSITIONS
from benchmarks.study3 import lengths
from benchmarks.study3.subjects import SUBJECTS
from benchmarks.study3.writing import FOLDER, PAGE, doubted, read

REGISTRATION = FOLDER.parent / "registration-3.md"


@pytest.fixture(scope="module")
def policies():
    """Return the published policies."""
    return read()


def test_arrays_are_those_of_the_registration(policies):
    """Every policy has the arms, tasks, seeds, episodes and decisions that were registered, and a checksum."""
    registered = REGISTRATION.read_text(encoding="utf-8")
    for subject in SUBJECTS:
        counts = ", ".join(map(str, subject.counts))
        assert (
            f"| {subject.key} | `{subject.checkpoint}` | {subject.role} | {subject.episodes} | {counts} |" in registered
        )
        assert f"| {subject.judges} × {subject.seeds} |" in registered
    assert policies
    for policy in policies:
        subject = policy.subject
        assert policy.arrays["return"].shape == (len(subject.arms), subject.seeds, subject.judges, subject.episodes)
        assert policy.arrays["screen/departure"].shape == (32, len(subject.arms), DECISIONS // 32)
    sums = (FOLDER / SUMS).read_text(encoding="utf-8").splitlines()
    assert {line.split("  ")[1] for line in sums} == {path.name for path in FOLDER.glob("*.npz")}
    assert sum(path.stat().st_size for path in FOLDER.glob("*.npz")) < 3e6


def test_a_screen_doubts_the_early_reference_checkpoint(policies):
    """Departure and signed loss order its arms differently, and TV-live does not order its costs."""
    [policy] = [one for one in policies if one.subject.key == "ckpt-causal"]
    assert doubted(policy).disagree
    assert not doubted(policy).too_still


def test_planted_lengths_dip_and_keep_more():
    """A third of the departure and all of the gain at 39 transitions, half of it elsewhere, under reindex alone."""
    counts = np.array(DIP_COUNTS * 2)
    turned = np.repeat([place == "reindex" for place in POSITIONS], len(DIP_COUNTS))
    departure = np.where((counts == 39) & turned, 0.1, 0.3)[None, :, None] * np.ones((2, 1, 3))
    tried = np.array(lengths.TRIED * 2)
    lost = np.where((tried == 39) & np.repeat([place == "reindex" for place in POSITIONS], len(lengths.TRIED)), 0, 5)
    arrays = {
        "dips/screen/departure": departure,
        "dips/screen/signed": np.zeros(departure.shape),
        "dips/decision/live": np.ones((2, 3)),
        "dips/decision/follows": np.ones((2, 3)),
        "dips/task": np.array([0, 1]),
        "random": np.ones(2),
        "plain": np.full((1, 2, 14), 11.0),
        "return": 11.0 - lost[:, None, None, None] * np.ones((1, 1, 2, 14)),
    }
    found = lengths.Lengths(arrays)
    assert found.dips() == {"keep": [], "reindex": [39]}
    assert found.kept()["reindex"][39] == pytest.approx(1)
    assert found.kept()["keep"][39] == pytest.approx(0.5)
    assert found.better("reindex") == [39]
    assert found.better("keep") == []


def test_the_page_is_a_page_of_the_docs():
    """The page's figures are there."""
    page = PAGE.read_text(encoding="utf-8")
    figures = [part.split(")")[0] for part in page.split("](") if part.startswith("images/study/third-")]
    assert len(figures) == 3
    assert all((PAGE.parent / one).exists() for one in figures)
