"""The event loop neither parses nor checks a body: its thread does the same few things however long the body is."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from bodies import BODIES, filled

READS = (
    "json/decoder.py", "wire/base.py", "wire/union.py", "_compat/v2.py:validate",
    "wire/specifications/choices.py", "wire/specifications/trials.py",
    "http/reading.py:_read",
)  # fmt: skip
"""Places, in ``file:function``, that read or check a body; a problem's own few fields are checked elsewhere."""

PER_PIECE = 400
"""Calls that one piece of a body may cause on the loop: it is received, and put to the others."""

PIECE = 2**16
"""Bytes of a body that arrive at once, at most."""


@contextmanager
def loop_calls(furnished) -> Iterator[Counter[str]]:
    """Count the calls on the event loop's thread while the context lasts, by ``file:function``."""
    calls: Counter[str] = Counter()
    loop = furnished.running.state.changes._loop

    def note(frame: FrameType, event: str, value: Any) -> None:
        if event == "call":
            calls[f"{frame.f_code.co_filename}:{frame.f_code.co_name}"] += 1
        elif event == "c_call":
            calls[f"{getattr(value, '__module__', None)}:{getattr(value, '__qualname__', value)}"] += 1

    def at_the_loop(profile) -> None:
        done = threading.Event()
        loop.call_soon_threadsafe(lambda: (sys.setprofile(profile), done.set()))
        assert done.wait(60)

    at_the_loop(note)
    try:
        yield calls
    finally:
        at_the_loop(None)


def post(furnished, body: bytes) -> Counter[str]:
    """Post a body, and return what the loop's thread called meanwhile."""
    headers = furnished.key("local") | {"Content-Type": "application/json"}
    with loop_calls(furnished) as calls:
        answer = furnished.http.post(furnished.url + "/v1/jobs:estimate", content=body, headers=headers)
    assert answer.status_code in {200, 400, 413}, answer.text
    return calls


def reading(calls: Counter[str]) -> list[str]:
    """Return the calls that read or check a body."""
    return [place for place in calls if any(part in place for part in READS)]


@pytest.fixture(scope="module")
def idle(furnished) -> int:
    """Return the calls that a small body causes."""
    return post(furnished, b'{"kind":"capture"}').total()


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
def test_a_megabyte_is_neither_parsed_nor_checked_on_the_loop(furnished, idle, make):
    """The loop only receives it: its calls grow with the pieces that arrive, and none of them reads."""
    body = filled(make).encode()
    calls = post(furnished, body)
    assert reading(calls) == []
    assert calls.total() < 10 * idle + PER_PIECE * (len(body) // PIECE)


def test_the_look_sees_the_loop(furnished):
    """The work of the loop for any request is seen; else the test above could not fail."""
    seen = " ".join(post(furnished, b"{}"))
    assert "http/gate.py" in seen
    assert "h11" in seen


def test_a_body_of_very_many_lists_is_refused_before_it_is_read(furnished):
    """The cap names itself."""
    headers = furnished.key("local") | {"Content-Type": "application/json"}
    body = b'{"kind":"capture","seeds":[' + b",".join([b"[]"] * 60_000) + b"]}"
    answer = furnished.http.post(furnished.url + "/v1/jobs:estimate", content=body, headers=headers)
    assert (answer.status_code, answer.json()["limit"], answer.json()["requested"]) == (413, 50_000, 60_002)
