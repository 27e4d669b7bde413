"""The study of RepeatPrevious: its page says what its arrays and cards say, and what is known by construction holds."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.recall.measuring import ARRAYS, BUDGETS, EPISODES, FOLDER, ROLLOUTS, WHOLE
from benchmarks.recall.subjects import PLAN, SEEDS, folder_of, plan_of
from benchmarks.recall.writing import PAGE, cards, published, tables
from benchmarks.study2.writing import rewritten

from attnscope_env import preset


def test_the_page_says_what_the_arrays_and_the_cards_say():
    """Written anew from what is published, the page is the same to the letter."""
    page = PAGE.read_text(encoding="utf-8")
    assert rewritten(page, tables(published(), cards())) == page


def test_what_is_published_is_whole_and_small():
    """Every seed, budget, held-out task and rollout is there; attention is shared out whole; the files are small."""
    arrays, tasks = published(), len(preset(PLAN.preset).tasks("test"))
    assert arrays["budgets"].tolist() == [*BUDGETS, WHOLE]
    assert arrays["returns"].shape == (len(SEEDS), len(BUDGETS) + 1, tasks, ROLLOUTS, EPISODES)
    assert arrays["attention"].shape == (len(SEEDS), PLAN.layers, PLAN.heads, WHOLE + 1)
    assert arrays["attention"].sum(axis=-1) == pytest.approx(1.0, abs=2e-3)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 3e5


def test_nobody_answers_from_fewer_transitions_than_hold_the_card():
    """Below 15 the source returns what random actions do; policies that also know common answers little more."""
    arrays = published()
    below = arrays["budgets"] < 15
    assert below.any()
    assert arrays["source"][below] == pytest.approx(-18.0, abs=2.5)
    assert arrays["returns"][:, below].mean(axis=(2, 3, 4)).max() < -10
    assert arrays["source"][-1, 1:] == pytest.approx(36.0)


def test_arrays_that_were_changed_are_refused(tmp_path):
    """Their checksum is another."""
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / ARRAYS).open("ab") as file:
        file.write(b" ")
    with pytest.raises(ValueError, match="is not the file"):
        published(tmp_path)


def test_seeds_differ_in_nothing_else(tmp_path):
    """Each has a folder of its own; the plan fits its preset."""
    assert len({folder_of(tmp_path, seed) for seed in SEEDS}) == len(SEEDS)
    changed = [plan_of(seed).model_dump(exclude={"recipe": {"seed"}}) for seed in SEEDS]
    assert changed[0] == changed[1] == changed[2]
    PLAN.refuse_unfit()
    assert np.isclose(PLAN.environment().task(0).optimal_return, 36)
