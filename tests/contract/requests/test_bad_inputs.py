"""Bad inputs by the table: each has its status, its problem, and where a cap spoke, the cap and what was asked."""

from __future__ import annotations

import io
import json
import socket
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np
import pytest

from problems import refused

SPEC = {"kind": "capture", "checkpoint": "AD-darkroom", "steps": 5}
NOBODY = "00000000-0000-4000-8000-000000000000"
DEEP = '{"kind": "capture", "checkpoint": "AD", "environment": {"id": "x", "kwargs": {"a": ' + "[" * 5000 + "]" * 5000
"""A body nested deeper than a parser should follow."""

SPECS = [
    ({"kind": "dance"}, 400, "invalid-request"),
    ({"kind": None}, 400, "invalid-request"),
    ({"kind": ["capture"]}, 400, "invalid-request"),
    ({"unknown": 1}, 400, "invalid-request"),
    ({"__proto__": {}}, 400, "invalid-request"),
    ({"checkpoint": None}, 400, "invalid-request"),
    ({"checkpoint": ""}, 400, "invalid-request"),
    ({"checkpoint": 7}, 400, "invalid-request"),
    ({"checkpoint": "x" * 201}, 400, "invalid-request"),
    ({"checkpoint": "nobody"}, 422, "unknown-checkpoint"),
    ({"checkpoint": "../checkpoints"}, 422, "unknown-checkpoint"),
    ({"checkpoint": "/etc/passwd"}, 422, "unknown-checkpoint"),
    ({"checkpoint": "AD\0"}, 422, "unknown-checkpoint"),
    ({"checkpoint": "http://127.0.0.1/x.pt"}, 422, "unknown-checkpoint"),
    ({"checkpoint": "a\u202eb"}, 422, "unknown-checkpoint"),
    ({"steps": 0}, 400, "invalid-request"),
    ({"steps": -1}, 400, "invalid-request"),
    ({"steps": 1.5}, 400, "invalid-request"),
    ({"steps": "many"}, 400, "invalid-request"),
    ({"steps": 2_000_000_000}, 400, "invalid-request"),
    ({"steps": 10**30}, 400, "invalid-request"),
    ({"steps": 1_000_000_000}, 507, "storage-full"),
    ({"steps": 5, "episodes": 5}, 400, "invalid-request"),
    ({"steps": None, "episodes": 0}, 400, "invalid-request"),
    ({"steps": None, "episodes": 10**9}, 400, "invalid-request"),
    ({"seeds": []}, 400, "invalid-request"),
    ({"seeds": [0, 0]}, 400, "invalid-request"),
    ({"seeds": [-1]}, 400, "invalid-request"),
    ({"seeds": [2**63]}, 400, "invalid-request"),
    ({"seeds": list(range(10_001))}, 400, "invalid-request"),
    ({"seeds": "0"}, 400, "invalid-request"),
    ({"replicas": 0}, 400, "invalid-request"),
    ({"replicas": True}, 400, "invalid-request"),
    ({"seeds": [True]}, 400, "invalid-request"),
    ({"steps": True}, 400, "invalid-request"),
    ({"replicas": 100_001}, 400, "invalid-request"),
    ({"replicas": 100_000}, 413, "too-large"),
    ({"sampling": {"mode": "loud"}}, 400, "invalid-request"),
    ({"sampling": {"temperature": 0}}, 400, "invalid-request"),
    ({"sampling": {"temperature": -1}}, 400, "invalid-request"),
    ({"sampling": {"temperature": 101}}, 400, "invalid-request"),
    ({"sampling": None}, 400, "invalid-request"),
    ({"rows": {"every": 0}}, 400, "invalid-request"),
    ({"rows": {"layers": [99]}}, 400, "invalid-request"),
    ({"rows": {"heads": [99]}}, 400, "invalid-request"),
    ({"rows": {"envs": [99]}}, 400, "invalid-request"),
    ({"rows": {"envs": []}}, 400, "invalid-request"),
    ({"rows": {"heads": [1, 1]}}, 400, "invalid-request"),
    ({"rows": {"heads": [-1]}}, 400, "invalid-request"),
    ({"maps": {"count": -1}}, 400, "invalid-request"),
    ({"maps": {"count": 10_001}}, 400, "invalid-request"),
    ({"maps": {"count": 1, "steps": [1]}}, 400, "invalid-request"),
    ({"maps": {"steps": [5]}}, 400, "invalid-request"),
    ({"maps": {"steps": [1, 1]}}, 400, "invalid-request"),
    ({"maps": {"steps": list(range(10_001))}}, 400, "invalid-request"),
    ({"tasks": {"split": "secret"}}, 400, "invalid-request"),
    ({"tasks": {"split": "test", "goals": [[5, 4]]}}, 400, "invalid-request"),
    ({"tasks": {"indices": []}}, 400, "invalid-request"),
    ({"tasks": {"indices": [9_999]}}, 400, "invalid-request"),
    ({"tasks": {"goals": [[99, 99]]}}, 400, "invalid-request"),
    ({"tasks": {"goals": [[-1, 0]]}}, 400, "invalid-request"),
    ({"tasks": {"goals": [[1, 2], [1, 2]]}}, 400, "invalid-request"),
    ({"tasks": {"goals": [[]]}}, 400, "invalid-request"),
    ({"tasks": {"goals": [[2**70, 0]]}}, 400, "invalid-request"),
    ({"environment": {"id": "os:system"}}, 400, "invalid-request"),
    ({"environment": {"id": "gymnasium.envs.registration:make"}}, 400, "invalid-request"),
    ({"environment": {"id": "attnscope_env.rooms.darkroom:DarkroomEnv"}}, 400, "invalid-request"),
    ({"environment": {"id": ""}}, 400, "invalid-request"),
    ({"environment": {"id": "x" * 201}}, 400, "invalid-request"),
    ({"environment": {"id": "Nothing-v0"}}, 422, "unknown-environment"),
    ({"environment": {"id": "../../etc"}}, 400, "invalid-request"),
    ({"environment": {"id": "attnscope/Darkroom-v0", "kwargs": {"size": 10**9}}}, 400, "invalid-request"),
    ({"environment": {"id": "attnscope/Darkroom-v0", "kwargs": {"__class__": "x"}}}, 400, "invalid-request"),
    ({"environment": {"id": "attnscope/Darkroom-v0", "kwargs": {"horizon": "x"}}}, 400, "invalid-request"),
    ({"environment": {"id": "attnscope/Darkroom-v0", "kwargs": []}}, 400, "invalid-request"),
    ({"environment": {"id": "attnscope/Darkroom-v0", "kwargs": {"render_mode": "human"}}}, 400, "invalid-request"),
    ({"dtype": "float16"}, 400, "invalid-request"),
    ({"label": "x" * 121}, 400, "invalid-request"),
    ({"label": 1}, 400, "invalid-request"),
    ({"label": ["x"]}, 400, "invalid-request"),
]

BODIES = [
    ("", 400, "invalid-request"),
    ("{", 400, "invalid-request"),
    ("[]", 400, "invalid-request"),
    ("null", 400, "invalid-request"),
    ('"capture"', 400, "invalid-request"),
    ("\xff\xfe", 400, "invalid-request"),
    ("{}" * 2, 400, "invalid-request"),
    (DEEP, 400, "invalid-request"),
    ('{"kind":"capture","checkpoint":"AD-darkroom","steps":' + "9" * 5000 + "}", 400, "invalid-request"),
    ('{"kind":"capture","checkpoint":"AD-darkroom","sampling":{"temperature":NaN}}', 400, "invalid-request"),
    ('{"kind":"capture","checkpoint":"AD-darkroom","sampling":{"temperature":Infinity}}', 400, "invalid-request"),
    ('{"kind":"capture","checkpoint":"AD-darkroom","label":"\\ud800"}', 400, "invalid-request"),
    ('{"kind":"capture","checkpoint":"\\udfff"}', 400, "invalid-request"),
    (json.dumps(SPEC | {"label": "x" * 2_000_000}), 413, "too-large"),
    (json.dumps(SPEC | {"tasks": {"goals": [[1, 2]] * 40_000}}), 400, "invalid-request"),
    (json.dumps(SPEC | {"seeds": [2**62 + i for i in range(10_000)], "maps": {"steps": list(range(10_000))}}), 413, ""),
]

JOBS = [
    ("GET", "/v1/jobs?cursor=zzz", 400, "invalid-request"),
    ("GET", "/v1/jobs?cursor=djE6LTE=", 400, "invalid-request"),
    ("GET", "/v1/jobs?cursor=djE6OTk5OTk5OTk5OTk5OTk5OTk5OTk5", 400, "invalid-request"),
    ("GET", f"/v1/jobs?cursor={'A' * 101}", 400, "invalid-request"),
    ("GET", "/v1/jobs?state=dancing", 400, "invalid-request"),
    ("GET", "/v1/jobs?limit=0", 400, "invalid-request"),
    ("GET", "/v1/jobs?limit=x", 400, "invalid-request"),
    ("GET", f"/v1/jobs?label={'x' * 121}", 400, "invalid-request"),
    ("GET", f"/v1/jobs?kind={'x' * 41}", 400, "invalid-request"),
    ("GET", f"/v1/jobs/{NOBODY}?wait=-1", 400, "invalid-request"),
    ("GET", f"/v1/jobs/{NOBODY}?wait=x", 400, "invalid-request"),
    ("GET", f"/v1/jobs/{NOBODY}?wait=nan", 400, "invalid-request"),
    ("GET", f"/v1/jobs/{NOBODY}?state=x", 400, "invalid-request"),
    ("GET", f"/v1/jobs/{NOBODY}", 404, "not-found"),
    ("GET", "/v1/jobs/last", 400, "invalid-request"),
    ("GET", "/v1/jobs/1", 400, "invalid-request"),
    ("GET", "/v1/jobs/..%2f..%2flocal.key", 404, "not-found"),
    ("GET", "/v1/jobs/%00", 400, "invalid-request"),
    ("GET", "/v1/jobs/' OR 1=1 --", 400, "invalid-request"),
    ("DELETE", f"/v1/jobs/{NOBODY}", 404, "not-found"),
    ("POST", f"/v1/jobs/{NOBODY}/cancel", 404, "not-found"),
    ("POST", f"/v1/jobs/{NOBODY}/retry", 404, "not-found"),
    ("GET", f"/v1/jobs/{NOBODY}?wait=inf", 400, "invalid-request"),
    ("DELETE", "/v1/jobs", 405, "method-not-allowed"),
    ("TRACE", "/v1/jobs", 405, "method-not-allowed"),
    ("GET", "/v1/jobs:estimate", 405, "method-not-allowed"),
    ("GET", "/v1/nothing", 404, "not-found"),
    ("GET", "/v1/checkpoints/nobody", 404, "not-found"),
    ("GET", "/v1/checkpoints/..", 404, "not-found"),
    ("GET", "/v1/checkpoints/%2e%2e%2f%2e%2e", 404, "not-found"),
    ("GET", "/v1/checkpoints/a%00b", 404, "not-found"),
    ("GET", "/metrics%00", 404, "not-found"),
]

SLICES = [
    ("array=nothing", 400, "invalid-request"),
    ("", 400, "invalid-request"),
    (f"array={'x' * 201}", 400, "invalid-request"),
    ("array=..%2f..%2flocal.key", 400, "invalid-request"),
    ("array=/etc/passwd", 400, "invalid-request"),
    ("array=attention/other", 422, "not-captured"),
    ("array=attention", 400, "invalid-request"),
    ("array=rollout/action&wing=1", 400, "invalid-request"),
    ("array=rollout/action&step=40", 416, "not-committed"),
    ("array=rollout/action&step=-41", 416, "not-committed"),
    ("array=rollout/action&step=0:41", 416, "not-committed"),
    ("array=rollout/action&step=0,40", 416, "not-committed"),
    ("array=rollout/action&step=a", 400, "invalid-request"),
    ("array=rollout/action&step=", 400, "invalid-request"),
    ("array=rollout/action&step=1,", 400, "invalid-request"),
    ("array=rollout/action&step=0:5:0", 400, "invalid-request"),
    ("array=rollout/action&step=0:5:-1", 400, "invalid-request"),
    ("array=rollout/action&step=::::", 400, "invalid-request"),
    ("array=rollout/action&step=1e3", 400, "invalid-request"),
    ("array=rollout/action&step=0x1", 400, "invalid-request"),
    ("array=rollout/action&step=%D9%A3", 400, "invalid-request"),
    ("array=rollout/action&step=" + "9" * 13, 400, "invalid-request"),
    ("array=rollout/action&step=1%00", 400, "invalid-request"),
    ("array=rollout/action&env=1", 400, "invalid-request"),
    ("array=rollout/action&env=-2", 400, "invalid-request"),
    ("array=rollout/action&reduce=median&over=step", 400, "invalid-request"),
    ("array=rollout/action&reduce=__import__&over=step", 400, "invalid-request"),
    ("array=rollout/action&reduce=mean", 400, "invalid-request"),
    ("array=rollout/action&reduce=mean&over=", 400, "invalid-request"),
    ("array=rollout/action&reduce=mean&over=wing", 400, "invalid-request"),
    ("array=rollout/action&reduce=mean&over=step,step", 400, "invalid-request"),
    ("array=rollout/action&reduce=mean&over=step&step=3", 400, "invalid-request"),
    (f"array=rollout/action&reduce={'m' * 21}", 400, "invalid-request"),
    ("array=rollout/action&format=exe", 400, "invalid-request"),
    ("array=rollout/action&format=pickle", 400, "invalid-request"),
]

KEYS = [
    ("rollout/action/c.9.0", "not-found"),
    ("rollout/action/c.0", "not-found"),
    ("rollout/action/c.00.0", "not-found"),
    ("rollout/action/c.-1.0", "not-found"),
    ("rollout/action/c.0.0.partial", "not-found"),
    ("rollout/action", "not-found"),
    (".zgroup", "not-found"),
    (".", "not-found"),
    ("..%2f..%2flocal.key", "not-found"),
    ("%2e%2e/%2e%2e/local.key", "not-found"),
    ("%2e%2e/%2e%2e/service.sqlite3", "not-found"),
    ("rollout/%2e%2e/%2e%2e/%2e%2e/local.key", "not-found"),
    ("%2fetc%2fpasswd", "not-found"),
    ("rollout%5caction%5cc.0.0", "not-found"),
    ("zarr.json%00", "not-found"),
    ("zarr.json%00.txt", "not-found"),
    ("ZARR.JSON", "not-found"),
    ("rollout//action/c.0.0", "not-found"),
    ("a" * 4000, "not-found"),
    ("%252e%252e%252flocal.key", "not-found"),
    ("rollout/action/c.0.0%0d%0aX-Injected:%201", "not-found"),
]

CHANGES = [
    ({"expires_at": "yesterday"}, 400, "invalid-request"),
    ({"expires_at": "2030-01-01T00:00:00"}, 400, "invalid-request"),
    ({"expires_at": 10**30}, 400, "invalid-request"),
    ({"expires_at": "0001-01-01T00:00:00+14:00"}, 400, "invalid-request"),
    ({"expires_at": "9999-12-31T23:59:59-14:00"}, 400, "invalid-request"),
    ({"pinned": "maybe"}, 400, "invalid-request"),
    ({"pinned": None}, 400, "invalid-request"),
    ({"owner": "me"}, 400, "invalid-request"),
    ({"state": "succeeded"}, 400, "invalid-request"),
]


def short(value: object) -> str:
    """Return what a table's entry is called."""
    return ascii(value)[:50]


def test_the_table_is_long_enough():
    """At least 120 inputs are asked below."""
    assert sum(map(len, (SPECS, BODIES, JOBS, SLICES, KEYS, CHANGES))) >= 120


@pytest.mark.parametrize(("change", "status", "code"), SPECS, ids=short)
def test_bad_specifications(ask, change, status, code):
    """Submitting, by POST and by PUT, and estimating refuse alike, and queue nothing."""
    body = SPEC | change
    refused(ask("POST", "/v1/jobs", json=body), status, code)
    refused(ask("PUT", f"/v1/jobs/{uuid4()}", json=body), status, code)
    if status != 507:
        refused(ask("POST", "/v1/jobs:estimate", json=body), status, code)


@pytest.mark.parametrize(("body", "status", "code"), BODIES, ids=short)
def test_bad_bodies(ask, body, status, code):
    """A body that is no JSON, or no specification's JSON, is refused before it is taken for one."""
    content = body.encode("latin-1")
    refused(ask("POST", "/v1/jobs", content=content, headers={"Content-Type": "application/json"}), status, code)


@pytest.mark.parametrize(("method", "path", "status", "code"), JOBS, ids=short)
def test_bad_requests(ask, method, path, status, code):
    """Paths, parameters and methods that make no sense."""
    refused(ask(method, path), status, code)


@pytest.mark.parametrize(("query", "status", "code"), SLICES, ids=short)
def test_bad_slices(furnished, ask, query, status, code):
    """Selections that make no sense, or reach beyond what is committed."""
    refused(ask("GET", f"/v1/captures/{furnished.job}/slice?{query}"), status, code)


@pytest.mark.parametrize(("key", "code"), KEYS, ids=short)
def test_bad_chunk_keys(furnished, key, code):
    """Whatever is no key of the store is absent, and no path leaves the capture; the path is sent as it stands."""
    place = urlsplit(furnished.url)
    request = f"GET /v1/captures/{furnished.job}/zarr/{key} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    authorization = furnished.key("local")["Authorization"]
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(f"{request}Authorization: {authorization}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 "), head
    assert json.loads(body)["type"].endswith(code)
    assert b"x-injected" not in head.lower()


@pytest.mark.parametrize("how", ["mean", "max", "min", "sum", "count"])
def test_a_reduction_over_nothing_is_nothing(furnished, ask, how):
    """An axis of which no entry is named reduces to NaN, or to a count of 0."""
    answer = ask("GET", f"/v1/captures/{furnished.job}/slice?array=rollout/reward&step=0:0&reduce={how}&over=step")
    assert answer.status_code == 200, answer.text
    reduced = np.load(io.BytesIO(answer.content))
    assert (reduced == 0).all() if how == "count" else np.isnan(reduced).all()


def test_what_a_reduction_takes_is_bounded(furnished, ask):
    """Entries named thousands of times are counted as the float64 that a reduction makes of them."""
    many = ",".join(["0"] * 8000)
    query = f"array=rollout/terminated&step={many}&env={many}&reduce=mean&over=step"
    refused(ask("GET", f"/v1/captures/{furnished.job}/slice?{query}"), 413, "too-large")


@pytest.mark.parametrize(("change", "status", "code"), CHANGES, ids=short)
def test_bad_changes(furnished, ask, change, status, code):
    """Only what an owner may change can be changed."""
    refused(ask("PATCH", f"/v1/jobs/{furnished.job}", json=change), status, code)
