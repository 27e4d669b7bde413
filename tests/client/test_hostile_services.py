"""Services that attack the terminal, redirect, refuse, vanish; and what is never done with what they send."""

from __future__ import annotations

import ast
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from typer.testing import CliRunner

import attnscope
import attnscope.capture
import attnscope.fetching.download
import attnscope.fetching.lazy
import attnscope_storage
from attnscope.cli.main import app
from attnscope.connecting.connection import Connection
from attnscope.connecting.plain import plain
from attnscope.connecting.retry import Backoff
from attnscope.connecting.transport import Transport
from attnscope.errors import (
    ConfigurationError,
    TooLargeError,
    UnauthenticatedError,
    UnexpectedAnswerError,
)
from attnscope.figures.heatmap import heatmap
from attnscope.service import Service
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import JobState

ESCAPES = "a\x1b]0;owned\x07b\x9b31mc\u202ed\x00[bold]e[/bold]<script>f</script>"
"""The text of a hostile service: it would set a title, colours, direction and markup."""


@pytest.fixture
def hostile(fake, tmp_path, hostile_root):
    """Return the fake service with escape sequences in every text that it sends."""

    def change(document, _nodes):
        told = document["attributes"]
        told["resolved"]["checkpoint_name"] = told["provenance"]["checkpoint_name"] = ESCAPES
        told["resolved"]["tasks"][0]["label"] = ESCAPES
        told["provenance"]["environment"] = ESCAPES

    fake.stored = hostile_root(fake.stored, tmp_path / "hostile", change)
    fake.label = ESCAPES
    return fake


def no_tricks(text: str) -> bool:
    """Return True if a text can neither move a cursor nor hide or turn what stands beside it."""
    return not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["status", "last"], ["watch", "last"], ["summary", "last"], ["status", "nothing"], ["keep", "last"]],
)
def test_no_terminal_is_taken_over(hostile, monkeypatch, arguments):
    """Whatever a service writes, the terminal is sent text; markup is shown, not obeyed."""
    monkeypatch.setenv("ATTNSCOPE_URL", hostile.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    result = CliRunner().invoke(app, arguments)
    shown = result.output + ("" if result.exception is None else plain(str(result.exception)))
    assert no_tricks(shown), ascii(shown)
    if arguments == ["list"]:
        whole = "".join(shown.split())  # the table folds long texts
        assert "[bold]e[/bold]<script>" in whole
        assert "\\x1b" in whole


def test_no_notebook_is_taken_over(hostile):
    """The notebook view of a job, a capture or an array is without tricks, and its markup is escaped."""
    with attnscope.connect(hostile.url, "right-key") as service:
        job = service.job("last")
        capture = job.capture()
        for shown in (service, job, capture, capture.rows, capture.rollout):
            assert no_tricks(repr(shown))
            html = getattr(shown, "_repr_html_", str)()
            assert no_tricks(html)
            assert "<script" not in html
        assert no_tricks(json.dumps(capture.provenance, ensure_ascii=False))
        assert no_tricks(capture.resolved.tasks[0].label + capture.resolved.checkpoint_name)
        assert no_tricks(str(job.info.label))
        assert no_tricks(heatmap_text(capture))


def heatmap_text(capture) -> str:
    """Return every text of a heatmap."""
    figure = heatmap(capture, 89)
    return "".join(text.get_text() for text in figure.findobj(Text))


def test_an_error_is_shown_without_tricks(fake):
    """A problem's detail and title are plain before they become an exception."""
    fake.label = ESCAPES
    with attnscope.connect(fake.url, "wrong-key") as service, pytest.raises(UnauthenticatedError) as raised:
        service.whoami()
    assert no_tricks(str(raised.value))
    assert no_tricks(raised.value.problem.title)


def test_a_key_goes_to_its_own_origin_only(fake):
    """A redirect to another service is not followed: that one is never asked, with or without the key."""
    with FakeElsewhere() as elsewhere:
        fake.moved = elsewhere.url
        with attnscope.connect(fake.url, "right-key") as service:
            for method in ("GET", "PUT", "POST"):
                with pytest.raises(UnexpectedAnswerError, match="redirect"):
                    service._transport.request(method, "/v1/moved", content=b"" if method != "GET" else None)
        assert elsewhere.asked == []


class FakeElsewhere(ThreadingHTTPServer):
    """Another origin that notes whoever comes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self.asked: list[object] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"

    def verify_request(self, _request, client_address) -> bool:
        """Note a visit and send it away."""
        self.asked.append(client_address)
        return False

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://10.0.0.1:8642",
        "http://127.0.0.1.example.com",
        "http://[2001:db8::1]",
        "ftp://127.0.0.1",
    ],
)
def test_a_key_travels_in_the_clear_on_loopback_only(url):
    """Nothing is sent: the address is refused with the key in hand, and the refusal does not repeat the key."""
    with pytest.raises(ConfigurationError) as raised:
        attnscope.connect(url, "right-key")
    assert "right-key" not in str(raised.value)


def test_a_selection_past_the_services_cap_arrives_in_parts(fake):
    """The service refuses more than so many bytes at once; the same numbers arrive in several slices."""
    fake.cap = 700
    with attnscope.connect(fake.url, "right-key") as service:
        capture = service.job("last").capture()
        fake.asked.clear()
        for key in ((slice(None), 0), (slice(80, 3, -3), [1, 0]), (slice(0, 50), 1, 0)):
            array = capture.stats.entropy if len(key) < 3 else capture.rows
            expected = CaptureReader.open(fake.stored).array(array.name)[:][key]
            assert np.array_equal(array[key], expected, equal_nan=True)
        assert sum("/slice?" in path for path in fake.asked) > 6
        fake.cap = 0
        with pytest.raises(TooLargeError):
            capture.rows[0]


def test_waiting_outlasts_a_restart(fake):
    """A service that goes away while a job is waited for, and comes back at the same address, is asked again."""
    moments = []

    def restarts(_seconds):
        moments.append(1)
        if len(moments) == 6:
            fake.down = False

    fake.down = True
    connection = Connection(fake.url, "right-key", "a test")
    fake.down_after = 1
    with Service(Transport(connection, sleep=restarts, backoff=Backoff(attempts=3))) as service:
        job = service.job("last")
        assert job.wait().state is JobState.SUCCEEDED
    assert len(moments) >= 6


def test_nothing_is_ever_unpickled():
    """No module of the laptop's side names pickle, eval or exec, nor lets NumPy or YAML read objects."""
    roots = [Path(attnscope.__file__).parent, Path(attnscope_storage.__file__).parent]
    forbidden = {
        "pickle",
        "cloudpickle",
        "dill",
        "marshal",
        "shelve",
        "joblib",
        "eval",
        "exec",
        "allow_pickle",
        "unsafe_load",
    }
    for path in (path for root in roots for path in root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = {getattr(node, field, None) for field in ("id", "name", "module")}
            if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant) and node.value.value is not False:
                names.add(node.arg)
            assert not {name for name in names if isinstance(name, str)} & forbidden, (path, node.lineno)
