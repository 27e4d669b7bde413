"""The compression study: its trials can be asked for, and its checksum stands for what was measured."""

from __future__ import annotations

import re

import numpy as np
import pytest
from benchmarks.study.page import PAGE, Kept, printed
from benchmarks.study.subjects import RULES, SUBJECTS, trials
from benchmarks.study.writing import digest

from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.strategies import STRATEGIES
from attnscope_server.trials.resolving import resolve_trial

BOUNDS = {"0.95", "0.05"}
"""The share that a non-inferior condition keeps at least, and the width that a sentence names."""


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


def test_the_page_s_sentences_have_numbers_of_the_published_files():
    """Every interval, every number of two digits or more and every share of a sentence stands in a published table."""
    page = re.sub(r"<!-- begin .*?<!-- end", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    said = " ".join(page.replace("*", "").split())
    intervals, numbers, shares = printed()
    found = re.findall(r"−?\d\.\d\d \[[^]]+\]", said)
    alone = re.findall(r"(?<![\d.])−?\d\.\d{2,3}(?!\d)", re.sub(r"−?\d\.\d\d \[[^]]+\]", "", said))
    in_percent = set(re.findall(r"\d+ %", said)) - {"95 %"}  # the level of the intervals
    assert len(found) > 20
    assert len(alone) > 15
    assert [one for one in found if one not in intervals] == []
    assert [one for one in alone if one not in numbers and one not in BOUNDS] == []
    assert sorted(in_percent - shares) == []


def test_a_condition_that_is_not_published_is_refused():
    """No number is made up for a budget that was not tried."""
    with pytest.raises(LookupError, match="0 conditions"):
        Kept("darkroom-absolute").row("board", "recency()", "0.5")
