"""The words about speed: faster only where its lower limit is, and the load of the machine beside them."""

from __future__ import annotations

import pytest

from attnscope_server.deciding.phases.timing import busy_words, speed_words
from attnscope_storage.wire.specifications.cards import CardPhase


def phase(ratio, low, high, *, name="full", cached=None) -> CardPhase:
    """Return a timed phase."""
    return CardPhase(phase=name, seconds=1, recomputed=ratio, cached=cached, ratio=ratio, low=low, high=high)


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (phase(1.4, 1.2, 1.6), "1.4× as fast as recomputing once the window slides, 1.20 to 1.60"),
        (phase(1.4, 0.9, 1.6), "not surely faster than recomputing once the window slides (1.40×, 0.90 to 1.60"),
        (phase(0.8, 0.7, 1.2), "no faster than recomputing once the window slides (0.80×, 0.70 to 1.20"),
        (phase(0.8, 0.7, 0.9, name="growing", cached=0.5), "no faster than the exact cache while the window grows"),
        (phase(1.4, None, None), "1.4× as fast as recomputing once the window slides"),
    ],
)
def test_faster_is_said_where_the_lower_limit_is(measured, words):
    """A lower limit at which the uncompressed policy is as fast takes the claim away; older cards have no limits."""
    assert speed_words((measured,)).startswith(words)


def test_a_busy_machine_is_said():
    """With more runnable processes than cores and the timing itself, the reader is told to time again."""
    assert busy_words(16.0, 2) == (
        "; timed on a busy machine (load 16 on 2 cores): time your own loop before you cite this"
    )
    assert busy_words(2.5, 2) == ""
    assert busy_words(None, 2) == ""
