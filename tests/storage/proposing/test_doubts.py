"""The doubts of a screen, on planted votes."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope_storage.proposing import Votes, doubts_of

RULES = ("recency",) * 4 + ("uniform",) * 4
ALL = range(len(RULES))


def votes(departure, signed) -> Votes:
    """Return votes of eight arms."""
    return Votes(np.array(departure, float), np.array(signed, float), np.zeros(len(RULES)))


@pytest.mark.parametrize(("sign", "agreement"), [(1, 1.0), (-1, -1.0)])
def test_agreement_is_within_rules(sign, agreement):
    """One rule departs ten times as much as the other: that says nothing of how both are ordered inside."""
    departure = [0.02, 0.03, 0.04, 0.05, 0.2, 0.3, 0.4, 0.5]
    found = doubts_of(votes(departure, [sign * value for value in (8, 9, 10, 11, 1, 2, 3, 4)]), RULES, ALL)
    assert found.agreement == pytest.approx(agreement)
    assert found.disagree == (sign < 0)
    assert len(found.sentences) == (sign < 0)
    assert not found.too_still


def test_arms_that_hardly_depart_are_counted():
    """Four of eight arms under one action in a hundred are half; equal departures have mid-ranks."""
    found = doubts_of(votes([0.001, 0.001, 0.002, 0.003, 0.2, 0.3, 0.3, 0.5], [1, 1, 2, 3, 1, 2, 2, 3]), RULES, ALL)
    assert found.still == 0.5
    assert found.too_still
    assert [sentence[:15] for sentence in found.sentences] == ["50% of the arms"]
    assert found.agreement == pytest.approx(1)


def test_what_cannot_be_told_is_no_doubt():
    """Rules of two arms, and decisions that no reward follows, have no agreement; that is no disagreement."""
    few = doubts_of(votes([0.2] * 8, [1.0] * 8), [*"aabbccdd"], ALL)
    silent = doubts_of(votes([0.1, 0.2, 0.3, 0.4] * 2, [np.nan] * 8), RULES, ALL)
    for found in (few, silent):
        assert np.isnan(found.agreement)
        assert not found.disagree
    assert not doubts_of(votes([0.1] * 8, [1.0] * 8), RULES, []).too_still
