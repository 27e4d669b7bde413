"""Signs of life within a block of a screen."""

from __future__ import annotations

from attnscope_server.screening.signs import SIGN_SECONDS, Signs


def test_signs_are_shown_from_time_to_time():
    """Many pieces of work within a second give one sign, and a long one is followed by a sign at once."""
    clock, shown = [0.0], []
    signs = Signs(lambda: shown.append(clock[0]), lambda: clock[0])
    for _ in range(1000):
        clock[0] += SIGN_SECONDS / 100
        signs.show()
    assert len(shown) in {9, 10}
    clock[0] += 50 * SIGN_SECONDS
    signs.show()
    assert shown[-1] == clock[0]
