"""Caps: each names itself and what was asked."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from problems import refused

SPEC = {"kind": "capture", "checkpoint": "AD-darkroom", "steps": 5}


@pytest.mark.parametrize(
    ("change", "limit", "requested"),
    [
        ({"label": "x" * 121}, 120, 121),
        ({"checkpoint": "x" * 205}, 200, 205),
        ({"steps": 2_000_000_000}, 1_000_000_000, 2_000_000_000),
        ({"seeds": list(range(10_001))}, 10_000, 10_001),
        ({"replicas": 100_000}, 65_536, 800_000),
    ],
)
def test_caps_of_a_specification_are_named(ask, change, limit, requested):
    """A length or number over its cap says the cap and what was asked."""
    document = ask("POST", "/v1/jobs", json=SPEC | change).json()
    assert (document["limit"], document["requested"]) == (limit, requested)


def test_a_body_over_the_cap_is_not_read(furnished, ask):
    """Its length alone is enough to refuse it; one without a length is refused too."""
    document = refused(ask("POST", "/v1/jobs", content=b"{}" + b" " * 2**20), 413, "too-large")
    assert (document["limit"], document["requested"]) == (2**20, 2**20 + 2)
    refused(ask("POST", "/v1/jobs", content=iter([b"{}"])), 400, "invalid-request")
    place = urlsplit(furnished.url)
    authorization = furnished.key("local")["Authorization"]
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\nAuthorization: {authorization}"
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(f"{head}\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_the_free_disk_and_the_size_of_a_capture_are_caps(ask):
    """A job that would not fit says how much there is and how much it would be."""
    document = refused(ask("POST", "/v1/jobs", json=SPEC | {"steps": 1_000_000_000}), 507, "storage-full")
    assert document["requested"] > document["limit"] > 0


def test_several_ranges_are_refused(furnished, ask):
    """One part of a chunk is served; more are asked for one by one."""
    path = f"/v1/captures/{furnished.job}/zarr/rollout/action/c.0.0"
    for asked, parts in (("bytes=0-1,3-4", 2), ("bytes=" + ",".join(["0-"] * 1000), 1000)):
        document = refused(ask("GET", path, headers={"Range": asked}), 416, "range-not-satisfiable")
        assert (document["limit"], document["requested"]) == (1, parts)
    for nonsense in ("bytes=", "bytes=x-y", "lines=0-1", "bytes=5-2x"):
        assert ask("GET", path, headers={"Range": nonsense}).status_code == 200
