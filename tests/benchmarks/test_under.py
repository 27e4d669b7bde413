"""The study of training under compression: its page says what its arrays say, its measure finds what is planted."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.under.measuring import CELLS, EPISODES, FOLDER, ROLLOUTS, TASKS, WHOLE, published
from benchmarks.under.subjects import RULES, SEEDS, STEPS, WITHOUT, Trainee
from benchmarks.under.writing import recovered

REGISTRATION = FOLDER.parent / "registration-4.md"
NEEDED = [cell for cell in CELLS if cell.key in {"rewards-on-rewards", "without-on-rewards", "without-on-whole"}]
"""The conditions of the registered claim."""


def test_arrays_are_those_of_the_registration():
    """Every registered condition is there with its seeds, tasks, rollouts and episodes, and the files are small."""
    arrays, registered = published(), REGISTRATION.read_text(encoding="utf-8")
    for cell in NEEDED:
        assert arrays[cell.key].shape == (len(SEEDS), TASKS, ROLLOUTS, EPISODES)
    assert f"{TASKS} held-out tasks" in registered
    assert f"for {STEPS} steps" in registered
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2e5


def test_arrays_that_were_changed_are_refused(tmp_path):
    """Their checksum is another."""
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "returns.npz").open("ab") as file:
        file.write(b" ")
    with pytest.raises(ValueError, match="checksum"):
        published(tmp_path)


def planted(share, noise=0.0, seeds=5):
    """Return arrays in which training under the rule recovers this share of a loss of one."""
    rng = np.random.default_rng(0)
    shape = (seeds, 6, 8, EPISODES)
    of_seed = noise * np.linspace(-1, 1, seeds)[:, None, None, None]
    levels = {"rewards-on-rewards": 0.5 + share, f"{WITHOUT}-on-rewards": 0.5, f"{WITHOUT}-on-{WHOLE}": 1.5}
    return {
        name: level + of_seed * (name == "rewards-on-rewards") + 0.2 * rng.normal(size=shape)
        for name, level in levels.items()
    }


@pytest.mark.parametrize(
    ("share", "noise", "seeds", "claim"),
    [
        (0.8, 0.02, 5, "at least half, for the recipe"),
        (0.8, 0.02, 3, "at least half, for these policies"),
        (0.6, 0.25, 5, "at least half, for these policies"),
        (0.3, 0.02, 5, "not shown to be half"),
    ],
)
def test_a_planted_recovery_is_found_and_claimed_as_far_as_seeds_allow(share, noise, seeds, claim):
    """Five seeds that agree speak for the recipe; fewer, and seeds that do not, for themselves."""
    found = recovered(planted(share, noise, seeds), "rewards", WITHOUT)
    assert abs(found.shares.mean() - share) < 0.05
    assert found.claim == claim


def test_the_fine_tunings_differ_in_nothing_but_their_contexts(tmp_path):
    """Same weights to begin with, steps, rate, histories and seed; only `under` and what follows from it differ."""
    plans = [Trainee(0, tuning).plan(tmp_path).model_dump() for tuning in (WITHOUT, *RULES)]
    for plan in plans[1:]:
        assert {name for name in plan if plan[name] != plans[0][name]} == {"under"}
    assert [plan["recipe"]["seed"] for plan in plans] == [0, 0, 0]
