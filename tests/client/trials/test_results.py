"""A trial's arrays with what they mean."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from attnscope.measures import NotMeasurableError


def test_a_trial_knows_its_conditions_tasks_and_full_episodes(trial):
    """The first is the uncompressed one; a context is full from the episode in which it holds all that it can."""
    assert [one.strategy for one in trial.conditions][:2] == ["none", "recency"]
    assert trial.returns.shape == (9, 5, 8, 20)
    assert trial.task_names[0] == "goal (0, 4)"
    assert trial.random_return.tolist() == [1.0] * 8
    assert trial.capacity == 40
    assert trial.full.tolist() == [False] * 4 + [True] * 16


def test_a_running_trial_has_the_conditions_that_are_committed(plant):
    """A condition that is not committed is not there, rather than absent values."""
    running = plant(until=3)
    assert running.committed == len(running.conditions) == 3
    assert not running.complete


def test_a_condition_finds_its_control(trial):
    """Uniform at the same budget; none of another budget stands in for it."""
    place = trial.control(4)
    assert place is not None
    assert (trial.conditions[place].strategy, trial.conditions[place].budget) == ("uniform", 0.1)
    alone = dataclasses.replace(trial, arrays={name: trial.arrays[name] for name in trial.arrays})
    assert alone.control(0) is None


def test_arrays_that_do_not_fit_are_refused(trial):
    """A lacking array and one of another shape are told apart."""
    lacking = {name: values for name, values in trial.arrays.items() if name != "trial/kept"}
    with pytest.raises(NotMeasurableError, match="trial/kept"):
        dataclasses.replace(trial, arrays=lacking)
    with pytest.raises(NotMeasurableError, match="expected trial/held of shape"):
        dataclasses.replace(trial, arrays={**trial.arrays, "trial/held": np.zeros((9, 5, 8, 19), np.float32)})
