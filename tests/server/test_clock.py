"""The settled clock: a jump of the wall clock ends nothing until the new time has lasted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from attnscope_server.root.clock import SETTLING, SettledClock

START = datetime(2026, 3, 1, tzinfo=UTC)


class Clocks:
    """A wall clock and a steady one, moved by a test."""

    def __init__(self) -> None:
        self.wall, self.steady = START, 100.0

    def passes(self, seconds: float) -> None:
        """Let time pass on both."""
        self.wall += timedelta(seconds=seconds)
        self.steady += seconds


@pytest.fixture
def clocks() -> Clocks:
    """Return both clocks."""
    return Clocks()


@pytest.fixture
def clock(clocks) -> SettledClock:
    """Return the settled clock over them."""
    return SettledClock(lambda: clocks.wall, lambda: clocks.steady)


def test_time_passes(clock, clocks):
    """Without a jump it is the wall clock."""
    clocks.passes(3600)
    assert clock.now() == clocks.wall


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=-400)])
def test_a_jump_is_not_believed_at_once(clock, clocks, jump):
    """Time goes on as before it, then the new time is taken."""
    clocks.wall += jump
    assert clock.now() == START
    clocks.passes(SETTLING / 2)
    assert clock.now() == START + timedelta(seconds=SETTLING / 2)
    clocks.passes(SETTLING)
    assert clock.now() == clocks.wall


def test_a_jump_that_is_taken_back_leaves_nothing(clock, clocks):
    """A clock that is set and set back ends nothing."""
    clocks.wall += timedelta(days=400)
    clock.now()
    clocks.wall -= timedelta(days=400)
    clocks.passes(2 * SETTLING)
    assert clock.now() == clocks.wall


def test_a_clock_that_is_drawn_slowly_is_followed(clock, clocks):
    """Small corrections, as a time service makes them, are believed."""
    for _ in range(10):
        clocks.passes(30)
        clocks.wall += timedelta(seconds=20)
        assert clock.now() == clocks.wall
