"""Compressions that a capture lacks: each in the sentence that says why."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import attnscope
from attnscope.errors import NotCapturedError, NotReplayableError
from attnscope.fetching.compressions import compressions_of

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "capture-v2"


def test_a_policy_that_packs_nothing_has_none():
    """An older store opens as before, and says that there is nothing to ask for."""
    capture = attnscope.open(GOLDEN)
    with pytest.raises(NotCapturedError, match="the policy packs nothing"):
        capture.compressions()
    with pytest.raises(NotReplayableError, match="no context of it holds latents"):
        capture.leave_one_latent_out(3)


def test_a_capture_of_before_says_to_capture_again():
    """Its contexts hold latents, and what the compressor looked at was not stored."""
    stored = SimpleNamespace(names=lambda: ["context/summaries"], policy=SimpleNamespace(window="compressed"))
    with pytest.raises(NotCapturedError, match="made before compressions were stored: capture again"):
        compressions_of(stored, 0)
