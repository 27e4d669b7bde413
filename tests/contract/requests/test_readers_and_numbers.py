"""Readers that stall or go away, what the service counts of itself, and that no key is ever written down."""

from __future__ import annotations

import re
import socket
import time
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from attnscope_server.root.captures import Captures
from attnscope_server.serving import serve_background
from attnscope_storage.verify import verify


@pytest.fixture(scope="module")
def narrow(service_settings, enter_finished_job):
    """Return a service that allows little at once, with a finished capture."""
    from uuid import uuid4  # noqa: PLC0415 - one use

    limits = {"sending_bytes": 1_000_000, "reader_seconds": 0.3, "long_polls": 2, "slice_result_bytes": 10_000_000}
    limits["stored_bytes"] = 10_000_000
    where, name = service_settings(limits=limits, worker_command=("sleep", "600"), stop_grace_seconds=0.1), uuid4()
    enter_finished_job(where, name)
    with serve_background(where) as running, httpx.Client(base_url=running.url, timeout=60) as http:
        http.headers["Authorization"] = f"Bearer {running.key}"
        yield running, http, f"/v1/captures/{name}"


def until(condition) -> None:
    """Return once something holds; a minute is for a busy machine."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def answered(http: httpx.Client, path: str) -> httpx.Response:
    """Return the answer to a read, asked again while earlier readers are still waited for."""
    deadline = time.monotonic() + 60
    while (answer := http.get(path)).status_code in {429, 503}:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    return answer


BIG = "slice?array=attention/rows&step=" + ",".join(map(str, [*range(40)] * 60))
"""Each step sixty times: 5.8 MB of answer from a small capture."""


def stalled(running, path: str) -> socket.socket:
    """Ask for something, and take nothing of the answer."""
    place = urlsplit(running.url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((place.hostname, place.port))
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {running.key}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def test_an_owner_over_the_quota_is_told(narrow):
    """A job that would store more than its owner may is refused; the quota and its use are shown to the owner."""
    _, http, _ = narrow
    refused = http.post("/v1/jobs", json={"kind": "capture", "checkpoint": "AD-darkroom", "steps": 20_000})
    assert refused.status_code == 413
    document = refused.json()
    assert document["limit"] == 10_000_000 < document["requested"]
    quotas = http.get("/v1/whoami").json()["quotas"]
    assert quotas["stored_bytes"] == {"used": 0.0, "limit": 1e7}
    assert quotas["running_per_owner"]["limit"] is None


def test_stalled_readers_hold_neither_workers_nor_memory(narrow, monkeypatch):
    """While they are waited for, reads past the budget are told to come back; then they are left, and all is free."""
    running, http, capture = narrow
    sending = running.state.sending
    assert len(answered(http, f"{capture}/{BIG}").content) > 5_000_000
    until(lambda: sending.held == 0)
    sent, hold = [], sending.hold
    monkeypatch.setattr(sending, "hold", lambda count: sent.append(count) or hold(count))
    connections = [stalled(running, f"{capture}/{BIG}") for _ in range(3)]
    assert http.get("/v1/whoami").status_code == 200
    until(lambda: sent and sending.held == 0)  # one was sent to at least, and was left
    with hold(sending.limit):  # as while they are waited for, however long that is on this machine
        refused = http.get(f"{capture}/{BIG}")
        assert http.get("/v1/whoami").status_code == 200
    assert (refused.status_code, refused.json()["limit"]) == (429, 1_000_000)
    assert refused.json()["requested"] >= 1_000_000
    assert answered(http, f"{capture}/{BIG}").status_code == 200
    for connection in connections:
        connection.close()


def test_readers_that_go_away_leave_nothing_behind(narrow):
    """A hundred downloads broken off in the middle cost no memory and no file, and harm no other reader."""
    running, http, capture = narrow
    me = psutil.Process()
    path = f"{capture}/{BIG}"

    def break_off() -> None:
        with stalled(running, path) as connection:
            connection.recv(1000)

    for _ in range(10):
        break_off()
    until(lambda: running.state.sending.held == 0)
    until(lambda: running.state.slices.waiting == 0)
    files, memory = me.num_fds(), me.memory_info().rss
    for _ in range(100):
        break_off()
    until(lambda: running.state.sending.held == 0 and running.state.slices.waiting == 0)
    assert answered(http, f"{capture}/zarr/zarr.json").status_code == 200
    until(lambda: me.num_fds() <= files + 5)
    assert me.memory_info().rss - memory < 100 * 2**20
    job = capture.rsplit("/", 1)[1]
    assert verify(Captures(running.settings.data_root).open(job)).ok


def test_long_polls_of_one_owner_have_a_cap(narrow):
    """The third poll at once is told the cap; another owner's is held."""
    running, http, _ = narrow
    job = http.post("/v1/jobs", json={"kind": "capture", "checkpoint": "AD-darkroom", "steps": 5}).json()["id"]
    connections = [stalled(running, f"/v1/jobs/{job}?wait=60") for _ in range(2)]
    until(lambda: running.state.polls.held == 2)
    refused = http.get(f"/v1/jobs/{job}?wait=60")
    assert (refused.status_code, refused.json()["limit"], refused.json()["requested"]) == (429, 2, 3)
    assert refused.json()["retryable"]
    assert http.get(f"/v1/jobs/{job}").status_code == 200
    for connection in connections:
        connection.close()
    http.post(f"/v1/jobs/{job}/cancel")
    until(lambda: running.state.polls.held == 0)


def test_numbers_are_prometheus_and_of_nobody(furnished):
    """Queue, states, rate, lag, bytes and latencies by route template; no job, owner, label or key among them."""
    mine = furnished.key("local")
    furnished.http.get(f"{furnished.url}/v1/jobs/{furnished.job}", headers=mine)
    furnished.http.get(f"{furnished.url}/v1/captures/{furnished.job}/slice?array=env/task", headers=mine)
    furnished.http.get(f"{furnished.url}/v1/nothing/{furnished.job}", headers=mine)
    answer = furnished.http.get(f"{furnished.url}/metrics", headers=mine)
    assert answer.headers["content-type"].startswith("text/plain")
    found = dict(re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", answer.text, re.MULTILINE))
    assert float(found['attnscope_jobs{state="succeeded"}']) == 1
    names = (
        "steps_per_second commit_lag_steps running_bytes_written devices_busy slices_waiting polls_held sending_bytes"
    )
    assert {f"attnscope_{name}" for name in names.split()} <= found.keys()
    routes = set(re.findall(r'route="([^"]*)"', answer.text))
    assert any("{job_id}" in route for route in routes)
    assert len(routes) < 40
    for secret in (furnished.job, furnished.running.key, "local"):
        assert secret not in answer.text


def test_no_key_is_ever_written_down(furnished, capfd):
    """Neither good nor bad keys reach a log, a problem, a capture, or any file but the local client's own."""
    good = furnished.key("local")
    key = good["Authorization"].removeprefix("Bearer ")
    bad = key[:-4] + "AAAA"
    answers = [
        furnished.http.get(f"{furnished.url}/v1/jobs/{furnished.job}", headers=good),
        furnished.http.get(f"{furnished.url}/v1/jobs?label={'x' * 200}", headers=good),
        furnished.http.get(f"{furnished.url}/v1/jobs", headers={"Authorization": f"Bearer {bad}"}),
        furnished.http.get(f"{furnished.url}/v1/whoami", headers=good),
        furnished.http.get(f"{furnished.url}/metrics", headers=good),
    ]
    told = "".join(answer.text + str(answer.headers) for answer in answers)
    logged = "".join(capfd.readouterr())
    for secret in (key, bad, key.split("_", 2)[2], furnished.running.key):
        assert secret not in logged
        assert secret not in told
    root = furnished.running.settings.data_root
    holding = [path for path in root.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    assert holding == []
    local = [path for path in root.rglob("*") if path.is_file() and furnished.running.key.encode() in path.read_bytes()]
    assert [path.name for path in local] == ["local.key"]
