"""The compression study: its trials can be asked for, and its checksum stands for what was measured."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.study.subjects import RULES, SUBJECTS, trials
from benchmarks.study.writing import digest

from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.strategies import STRATEGIES
from attnscope_server.trials.resolving import resolve_trial


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Return a registry of the shipped checkpoints."""
    made = CheckpointRegistry(tmp_path_factory.mktemp("registry"))
    made.add_shipped()
    return made


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda one: one.key)
def test_every_trial_of_the_study_can_be_run(subject, registry):
    """The service takes each of them, on held-out tasks, with five seeds at least; the board holds its rules."""
    found = trials(subject)
    for spec in found.values():
        resolved = resolve_trial(spec, registry)
        assert resolved.held_out is True
        assert len(spec.seeds) >= 5
        assert resolved.conditions[0].strategy == "none"
    assert {one.name for one in found["board"].strategies} == RULES
    assert set(STRATEGIES) >= RULES
    assert {0.1, 0.4, 0.9} <= set(found["board"].budgets)


def test_the_checksum_is_of_what_was_measured():
    """One other number gives another checksum; other times do not."""
    arrays = {"trial/return": np.ones((2, 1, 1, 3), np.float32), "speed/seconds": np.ones(2, np.float32)}
    before = digest(arrays)
    assert digest(arrays | {"speed/seconds": np.zeros(2, np.float32)}) == before
    other = arrays["trial/return"].copy()
    other[1, 0, 0, 2] = 2
    assert digest(arrays | {"trial/return": other}) != before
