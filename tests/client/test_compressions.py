"""Compressions that a capture lacks: each in the sentence that says why."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import attnscope
from attnscope.errors import NotCapturedError, NotReplayableError
from attnscope.fetching.compressions import compressions_of
from attnscope_storage.errors import ChunkDamagedError

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "capture-v2"


def test_a_policy_that_packs_nothing_has_none():
    """An older store opens as before, and says that there is nothing to ask for."""
    capture = attnscope.open(GOLDEN)
    with pytest.raises(NotCapturedError, match="the policy packs nothing"):
        capture.compressions()
    with pytest.raises(NotReplayableError, match="no context of it holds latents"):
        capture.leave_one_latent_out(3)


def stored(**changes):
    """Return the arrays of three compressions, two latents and two tokens a transition."""
    step, rows = np.array([3, 5, 7]), np.full((3, 1, 1, 1, 2, 8), np.nan)
    sources = np.array([8, 6, 6])
    for number, count in enumerate(sources):
        rows[number, ..., :count] = 1 / count
    arrays = {"step": step, "sources": sources, "latents": np.ones((3, 1, 2, 4), np.float32)}
    arrays |= {"attention": rows.astype(np.float16), "env": np.array([0])} | changes
    return {f"compression/{name}": values for name, values in arrays.items()}


class Stand:
    """Gives arrays by name, as a capture does."""

    policy = SimpleNamespace(window="compressed", tokens_per_transition=2, packed_by=None)

    def __init__(self, **changes: np.ndarray) -> None:
        self._arrays = stored(**changes)

    def names(self) -> list[str]:
        """Return what there is."""
        return list(self._arrays)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]


def test_compressions_say_what_they_packed():
    """Older latents first, then the transitions since the compression before."""
    found = compressions_of(Stand(), 0)
    assert [found.held(number) for number in range(3)] == [0, 2, 2]
    assert [found.packed(number) for number in range(3)] == [(0, 3), (4, 5), (6, 7)]
    assert [found.before(step) for step in (3, 4, 5, 6, 100)] == [None, 0, 0, 1, 2]
    assert found.looked(1).shape == (1, 1, 2, 6)
    assert compressions_of(Stand(env=np.array([1])), 0).attention is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step": np.array([3, 4, 7])}, "what is packed is not what joined between two compressions"),
        ({"step": np.array([3, 5, 5])}, "what is packed is not what joined"),
        ({"sources": np.array([8, 6, 2**31 - 1])}, "what is packed is not what joined"),
        ({"sources": np.array([8, 6])}, "what is packed is not what joined"),
        ({"latents": np.ones((2, 1, 2, 4), np.float32)}, "what is packed is not what joined"),
        ({"latents": np.ones((3, 1, 3, 4), np.float32), "sources": np.array([8, 7, 7])}, "each of 3 latents"),
        ({"attention": np.full((3, 1, 1, 1, 2, 5), 0.2, np.float16)}, "every source, got"),
        ({"attention": np.full((3, 1, 1, 1, 2, 8), 0.5, np.float16)}, "compression 0: rows that sum to 1 expected"),
        ({"attention": np.full((3, 1, 1, 1, 2, 8), np.nan, np.float16)}, "rows that sum to 1 expected"),
        ({"attention": np.full((3, 1, 1, 2, 8), 0.125, np.float16)}, "every source, got"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, words):
    """A foreign or damaged store ends in a sentence, whichever array lies."""
    with pytest.raises(ChunkDamagedError, match=words):
        compressions_of(Stand(**changes), 0)


def test_a_capture_of_before_says_to_capture_again():
    """Its contexts hold latents, and what the compressor looked at was not stored."""
    older = SimpleNamespace(names=lambda: ["context/summaries"], policy=SimpleNamespace(window="compressed"))
    with pytest.raises(NotCapturedError, match="made before compressions were stored: capture again"):
        compressions_of(older, 0)
