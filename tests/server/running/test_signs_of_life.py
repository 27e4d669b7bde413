"""A worker's thread of signs of life goes on, whatever goes wrong with one sign."""

from __future__ import annotations

from attnscope_server.running.channel import Channel
from attnscope_server.running.messages import Alive


class Failing(Channel):
    """A channel whose first two signs fail."""

    tries = 0

    def report(self, report) -> None:
        """Fail twice, then let the worker stop."""
        assert isinstance(report, Alive)
        self.tries += 1
        if self.tries <= 2:
            raise MemoryError
        self.stopping.set()


def test_a_sign_that_fails_is_followed_by_another():
    """Else the worker would be taken for one that hangs, and be ended in the middle of its work."""
    channel = Failing(alive_seconds=0.001)
    channel.live()
    assert channel.tries == 3
