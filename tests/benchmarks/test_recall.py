"""The study of RepeatPrevious: its page says what its arrays and cards say, and what is known by construction holds."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.recall.measuring import BUDGETS, EPISODES, FOLDER, PRESET, ROLLOUTS, WHOLE, file_of
from benchmarks.recall.subjects import SEEDS, SUBJECTS, THREE, TWO
from benchmarks.recall.writing import published

from attnscope_env import preset


@pytest.mark.parametrize(("subject", "budgets"), [(THREE, BUDGETS), (TWO, [b for b in BUDGETS if b != 16])])
def test_what_is_published_is_whole_and_small(subject, budgets):
    """Every seed, budget, held-out task and rollout is there; attention is shared out whole; the files are small."""
    arrays, tasks = published(subject), len(preset(PRESET).tasks("test"))
    assert arrays["budgets"].tolist() == [*budgets, WHOLE]
    assert arrays["returns"].shape == (len(SEEDS), len(budgets) + 1, tasks, ROLLOUTS, EPISODES)
    assert arrays["attention"].shape == (len(SEEDS), subject.plan.layers, subject.plan.heads, WHOLE + 1)
    assert arrays["attention"].sum(axis=-1) == pytest.approx(1.0, abs=2e-3)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 3e5


@pytest.mark.parametrize("subject", [THREE, TWO])
def test_nobody_answers_from_fewer_transitions_than_hold_the_card(subject):
    """Below 15 the source returns what random actions do; policies that also know common answers little more."""
    arrays = published(subject)
    below = arrays["budgets"] < 15
    assert below.any()
    assert arrays["source"][below] == pytest.approx(-18.0, abs=2.5)
    assert arrays["returns"][:, below].mean(axis=(2, 3, 4)).max() < -10
    assert arrays["source"][-1, 1:] == pytest.approx(36.0)


def test_arrays_that_were_changed_are_refused(tmp_path):
    """Their checksum is another."""
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / file_of(THREE)).open("ab") as file:
        file.write(b" ")
    with pytest.raises(ValueError, match="is not the file"):
        published(THREE, tmp_path)


def test_seeds_differ_in_nothing_else(tmp_path):
    """Each seed of each recipe has a folder of its own; the plans fit their preset."""
    folders = {subject.folder(tmp_path, seed) for subject in SUBJECTS.values() for seed in SEEDS}
    assert len(folders) == len(SEEDS) * len(SUBJECTS)
    for subject in SUBJECTS.values():
        changed = [subject.plan_of(seed).model_dump(exclude={"recipe": {"seed"}}) for seed in SEEDS]
        assert changed[0] == changed[1] == changed[2]
        subject.plan.refuse_unfit()
    assert np.isclose(TWO.plan.environment().task(0).optimal_return, 36)
