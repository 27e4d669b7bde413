"""The driver's process, as the runner holds it: its start, its two pipes, its end."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from pydantic import ValidationError

from attnscope_server.running.environment import computing
from attnscope_server.running.feeding import feed
from attnscope_server.running.on_ray.wire import NEWS, Command, News

log = structlog.get_logger("attnscope.ray")

COMMAND: Final = (sys.executable, "-m", "attnscope_server.running.on_ray.driver")
"""Starts the driver."""

ONLY_WORKERS: Final = ("AWS_",)
"""Prefixes of the environment variables that the driver has no use for: nodes have a bucket's keys of their own."""

TOKEN: Final = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""Environment variables that say where the cluster's token is."""


def driving(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the driver: no secret but the cluster's token, without which it connects to nothing."""
    kept = {name: value for name, value in computing(environment).items() if not name.startswith(ONLY_WORKERS)}
    token = {name: environment[name] for name in TOKEN if name in environment}
    return kept | token | {"RAY_AUTH_MODE": "token"}


class Driving:
    """A driver that has been started.

    Parameters
    ----------
    begin
        The first command.
    command
        Starts the process.
    """

    def __init__(self, begin: Command, command: tuple[str, ...] = COMMAND) -> None:
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(  # noqa: S603 - our own
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=driving(os.environ),
            start_new_session=True,  # a terminal's Ctrl-C reaches the service, which stops it in order
        )
        self.send(begin)
        threading.Thread(target=self._write, name="ray-commands", daemon=True).start()

    def send(self, command: Command) -> None:
        """Send a command; one to a process that is gone is dropped."""
        self._commands.put(command)

    def listen(self, hear: Callable[[News], None]) -> int:
        """Pass on all news until the process ends; return its exit status."""
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        with self._process.stdout as news:
            for line in news:
                try:
                    said = NEWS.validate_json(line)
                except ValidationError:
                    log.warning("the cluster's driver said something that is no message")
                else:
                    hear(said)
        self._commands.put(None)
        return self._process.wait()

    def end(self, seconds: float) -> None:
        """Wait so long for the process to end, then kill it."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def _write(self) -> None:
        feed(self._process.stdin, self._commands.get)
