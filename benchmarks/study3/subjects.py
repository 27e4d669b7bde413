"""Policies and seeds of the third study; `docs/study/registration-3.md` names the same ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from benchmarks.study2.subjects import SUBJECTS as BEFORE
from benchmarks.study2.subjects import Blocks, Subject

THIRD: Final = Blocks(capture=300, race=3_000, board=30_000, confirm=40_000)
"""Seeds of the third study."""

STANDS: Final = "signed loss"
"""Vote that chooses the positions of a rule."""

SEEDS: Final = 5
"""Seeds a judging task."""

_BEFORE = {subject.key: replace(subject, seeds=SEEDS, dips=False) for subject in BEFORE}


def _early(step: int) -> Subject:
    return Subject(
        f"absolute-{step}",
        f"AD-absolute-darkroom-reference-seed0@{step}",
        f"Darkroom 9×9, learned, step {step:,}",
        "confirmation",
        10,
        seeds=SEEDS,
    )


SUBJECTS: Final = (
    replace(_BEFORE["ckpt-causal"], role="replication"),
    replace(_BEFORE["annealed"], role="replication"),
    _early(500),
    _early(1_000),
    replace(_BEFORE["darkroom-13"], role="replication"),
    replace(_BEFORE["reference-layout"], role="replication"),
    _BEFORE["q-learning"],
    _BEFORE["darkroom-rotary"],
    _BEFORE["darkroom-absolute"],
    _BEFORE["key-to-door"],
)
"""In the order of their runs."""
