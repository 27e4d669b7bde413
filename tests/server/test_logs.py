"""A log whose reader stands still, or is gone, holds up nobody and ends no thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from attnscope_server.logs import LogLines

TALKS = """
import os, sys
import structlog
from attnscope_server.logs import configure

configure("json")
log = structlog.get_logger("a test")
for number in range(int(sys.argv[1])):
    log.info("a line", number=number, filling="x" * 200)
print("went on")
"""


def talk(lines: int, stderr: int) -> str:
    """Run a process that logs; return what it says at its end."""
    command = [sys.executable, "-c", TALKS, str(lines)]
    done = subprocess.run(command, stderr=stderr, stdout=subprocess.PIPE, text=True, timeout=120, check=False)
    assert done.returncode == 0
    return done.stdout.strip()


def test_a_reader_that_is_gone_ends_nothing():
    """A broken pipe, as after `attnscope-server serve 2>&1 | head`, raises in no thread of the service."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert talk(10, writing) == "went on"
    finally:
        os.close(writing)


def test_a_reader_that_stands_still_holds_up_nothing():
    """A pager, or a terminal after Ctrl-S, takes no more lines than its pipe has room for."""
    reading, writing = os.pipe()
    try:
        assert talk(5_000, writing) == "went on"  # a megabyte, for a pipe of 64 kB
    finally:
        os.close(reading)
        os.close(writing)


def test_lines_arrive_in_order_and_whole():
    """A reader that reads has everything."""
    reading, writing = os.pipe()
    try:
        assert talk(100, writing) == "went on"
    finally:
        os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as said:
        found = said.read().splitlines()
    assert [f'"number": {number}' in line for number, line in enumerate(found)] == [True] * 100


class Stopped:
    """A stream that takes its first line only when it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.said: list[str] = []

    def write(self, text: str) -> None:
        """Keep a text once it may."""
        assert self.go.wait(60)
        self.said.append(text)

    def flush(self) -> None:
        """Do nothing."""


def test_lost_lines_are_counted():
    """Dropped lines are counted in the log once there is room again."""
    stream = Stopped()
    lines = LogLines(stream, most=2)
    lines.write("first\n")
    while lines._waiting.qsize():  # it is taken, and stands at the stream
        pass
    for number in range(5):
        lines.write(f"{number}\n")
    stream.go.set()
    lines.end(60)
    assert stream.said[0] == "first\n"
    assert [text for text in stream.said if "were lost" in text] == [
        "3 lines of this log were lost: nobody took them\n"
    ]
    assert [text for text in stream.said if text[0].isdigit() and "lost" not in text] == ["0\n", "1\n"]
