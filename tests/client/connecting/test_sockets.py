"""The end of a transport while a thread waits on it: the thread is told at once, so that no program's end waits."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport, close_all
from attnscope.errors import ConnectionFailedError

LONG = 30
"""Seconds after which a thread or program that was to end is given up; a read waits for longer than that."""


@pytest.fixture
def silent():
    """Yield the address of a service that takes requests and answers none, and a function that awaits a request."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def asked() -> bytes:
            connection, _ = server.accept()
            connection.settimeout(LONG)
            taken.append(connection)
            return connection.recv(65536)

        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        for one in taken:
            one.close()


@pytest.mark.parametrize("close", [Transport.close, lambda _: close_all()])
def test_whoever_waits_is_told_at_once(silent, close):
    """Neither the minute that a read may take nor another try is waited for; afterwards nothing is sent."""
    url, asked = silent
    transport, told = Transport(Connection(url, "a-key", "a test")), []

    def wait() -> None:
        with pytest.raises(ConnectionFailedError) as failed:
            transport.request("GET", "/v1/jobs")
        told.append(failed.value)

    thread = threading.Thread(target=wait)
    thread.start()
    assert asked().startswith(b"GET /v1/jobs")
    close(transport)
    thread.join(LONG)
    assert not thread.is_alive()
    assert len(told) == 1
    with pytest.raises(ConnectionFailedError, match="was closed: connect again"):
        transport.request("GET", "/v1/jobs")


@pytest.fixture
def half_silent(fake, monkeypatch):
    """Return the fake service, which answers no question about stored chunks until the test ends, and those asked."""
    ended, asked, answer = threading.Event(), queue.SimpleQueue(), fake.RequestHandlerClass.do_GET

    def hold(handler) -> None:
        if "/zarr/" in handler.path and not handler.path.endswith("zarr.json"):
            asked.put(handler.path)
            ended.wait(4 * LONG)
            handler.close_connection = True
        else:
            answer(handler)

    monkeypatch.setattr(fake.RequestHandlerClass, "do_GET", hold)
    yield fake, asked
    ended.set()


@pytest.mark.skipif(os.name != "posix", reason="signals are sent otherwise here")
def test_ctrl_c_ends_a_verb_whose_service_is_silent(half_silent, tmp_path):
    """Also while zarr's threads wait for chunks: one line, the status that the help names, and no traceback."""
    fake, asked = half_silent
    folders = os.pathsep.join(path for path in sys.path if path and Path(path).is_dir())
    environment = {**os.environ, "PYTHONPATH": folders, "ATTNSCOPE_URL": fake.url, "ATTNSCOPE_API_KEY": "right-key"}
    program = "import sys; sys.argv = ['attnscope', 'fetch', 'last']; import attnscope.cli as c; c.main()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as verb:
        assert asked.get(timeout=LONG)
        verb.send_signal(signal.SIGINT)
        _, err = verb.communicate(timeout=LONG)
    assert (verb.returncode, err) == (130, "stopped\n")
