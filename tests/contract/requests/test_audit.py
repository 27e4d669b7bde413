"""The audit log: a line for each write and each refusal, which names the key's id and never the key."""

from __future__ import annotations

import structlog

from attnscope_server.records.keys import Scope


def test_writes_and_refusals_are_logged(furnished):
    """A submission, a deletion, a missing key and a missing scope each leave one line; a read leaves none."""
    writer, reader = furnished.key("ann"), furnished.key("bob", Scope.JOBS_READ)
    key_id = writer["Authorization"].removeprefix("Bearer ").split("_")[1]
    http, url = furnished.http, furnished.url
    with structlog.testing.capture_logs() as lines:
        http.get(url + "/v1/jobs", headers=writer)
        http.post(url + "/v1/jobs", headers=writer, json={"checkpoint": "nothing"})
        http.delete(url + f"/v1/jobs/{furnished.job}", headers=writer)
        http.get(url + "/v1/jobs")
        http.post(url + "/v1/jobs", headers=reader, json={"checkpoint": "nothing"})
    found = [line for line in lines if line["event"] in {"write", "refused"}]
    assert [(line["event"], line["method"], line["status"]) for line in found] == [
        ("write", "POST", 400),
        ("write", "DELETE", 404),
        ("refused", "GET", 401),
        ("refused", "POST", 403),
    ]
    assert [line["owner"] for line in found] == ["ann", "ann", None, "bob"]
    assert found[0]["key"] == key_id
    secrets = [header["Authorization"].removeprefix("Bearer ") for header in (writer, reader)]
    assert not any(secret in str(lines) for secret in secrets)
