"""Rights: every route of the OpenAPI document against every kind of key, and what the gate refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from attnscope_server.app import create_app
from attnscope_server.records.keys import ALL_SCOPES, Scope
from attnscope_server.settings import Settings
from attnscope_storage.wire import PROBLEM_MEDIA_TYPE

SPEC = {"kind": "capture", "checkpoint": "AD-darkroom", "steps": 5}
EXAMPLES = {"CaptureSpec": SPEC, "JobChanges": {"pinned": True}}
"""Body by the name of its schema; an unknown one is tried with {}."""

PLACES = {"key": "zarr.json", "name": "AD-darkroom"}
"""Path parameter → an example."""

QUERIES = {"array": "env/task", "step": "5"}
"""Required query parameter → an example."""

TOKEN = {"Attnscope-Attempt": "ata_none"}

HEALTH = {"/healthz", "/readyz"}


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    method: str
    path: str
    scopes: tuple[str, ...]
    parameters: tuple[str, ...]
    body: str | None

    @property
    def of_workers(self) -> bool:
        """Return True if only workers may ask for it."""
        return self.scopes == (Scope.WORKER,)

    @property
    def of_a_job(self) -> bool:
        """Return True if it names a job."""
        return "{job_id}" in self.path

    def send(self, furnished, job: str, headers: dict[str, str]) -> httpx.Response:
        """Ask for it, about a job where it names one."""
        path = self.path.replace("{job_id}", job)
        path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: PLACES.get(found[1], "unknown"), path)
        query = {name: QUERIES.get(name, "1") for name in self.parameters}
        body = None if self.body is None else EXAMPLES.get(self.body, {})
        return furnished.http.request(self.method, furnished.url + path, params=query, json=body, headers=headers)


def operations(document: dict) -> Iterator[Operation]:
    """Yield every operation of an OpenAPI document."""
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            scopes = tuple(scope for wanted in told.get("security", ()) for scope in wanted["HTTPBearer"])
            needed = [p["name"] for p in told.get("parameters", ()) if p["in"] == "query" and p.get("required")]
            content = told.get("requestBody", {}).get("content", {}).get("application/json", {})
            reference = json.dumps(content)
            named = re.search(r"#/components/schemas/(\w+)", reference)
            body = (named[1] if named else "") if content else None
            yield Operation(method.upper(), path, scopes, tuple(needed), body)


@pytest.fixture(scope="module")
def every(furnished) -> list[Operation]:
    """Return every operation that the service documents."""
    answer = furnished.http.get(f"{furnished.url}/v1/openapi.json", headers=furnished.key("local"))
    return list(operations(answer.json()))


def problem_of(answer: httpx.Response) -> str:
    """Return the code of a problem."""
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE, answer.text
    return answer.json()["type"].rsplit(":", 1)[1]


def without(answer: httpx.Response, job: str) -> tuple[int, str]:
    """Return an answer with the id that was asked for taken out."""
    return answer.status_code, answer.text.replace(job, "<id>")


def test_only_health_wants_no_scope(every):
    """Each documented operation names its scope, so that forgetting one fails here; health alone names none."""
    assert {one.path for one in every if not one.scopes} == HEALTH
    assert len(every) >= 14
    assert {scope for one in every for scope in one.scopes} <= {scope.value for scope in Scope}


def test_no_route_hides_from_the_document(every, tmp_path):
    """Every answer of the application is documented, but for the document itself and HEAD."""
    document, *included = create_app(Settings(data_root=tmp_path)).routes
    routes = [route for router in included for route in router.original_router.routes]
    assert document.path == "/v1/openapi.json"
    assert {route.path for route in routes if not route.include_in_schema and route.methods != {"HEAD"}} == set()
    assert sum(len(route.methods) for route in routes if route.include_in_schema) == len(every)


def test_without_a_valid_key_there_is_no_answer(furnished, every):
    """No key, nonsense, an expired, a revoked and a misplaced key get 401, on every route and on none."""
    revoked = furnished.key("local")
    furnished.running.state.keys.revoke(revoked["Authorization"].split("_")[1])
    expired = furnished.key("local", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    good = furnished.running.key
    bad = [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Basic {good}"}, {"X-API-Key": good}]
    for headers in (*bad, revoked, expired, {"Authorization": f"Bearer {good[:-1]}x"}):
        for one in every:
            if one.scopes:
                answer = one.send(furnished, furnished.job, headers)
                assert answer.status_code == 401, (one, headers)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert problem_of(answer) == "unauthenticated"
        for path in (
            "/",
            "/v1/nothing",
            "/docs",
            "/redoc",
            "/openapi.json",
            "/v1/openapi.json",
            f"/v1/jobs?key={good}",
        ):
            assert furnished.http.get(furnished.url + path, headers=headers).status_code == 401, path
        head = f"{furnished.url}/v1/captures/{furnished.job}/zarr/zarr.json"
        assert furnished.http.head(head, headers=headers).status_code == 401


def test_the_bare_address_says_what_it_is(furnished):
    """A browser without a key is told the command that shows captures; no other path says it."""
    said = furnished.http.get(furnished.url + "/").json()["detail"]
    assert "attnscope service" in said
    assert "`attnscope open`" in said
    assert "attnscope open" not in furnished.http.get(furnished.url + "/v1/nothing").text


def test_a_scope_is_what_lets_in(furnished, every):
    """A key with every other scope but admin gets 403; with just the one, or with admin, it is let in."""
    for one in every:
        if not one.scopes or one.of_workers:
            continue
        others = [scope for scope in ALL_SCOPES if scope.value not in one.scopes and scope is not Scope.ADMIN]
        answer = one.send(furnished, furnished.job, furnished.key("local", *others))
        assert (answer.status_code, problem_of(answer)) == (403, "forbidden"), one
        for scopes in (tuple(map(Scope, one.scopes)), (Scope.ADMIN,)):
            job = furnished.job if one.method == "GET" else str(uuid4())
            answer = one.send(furnished, job, furnished.key("local", *scopes))
            assert answer.status_code not in {401, 403}, (one, answer.text)
            assert answer.status_code < 500, (one, answer.text)


def test_a_workers_key_opens_nothing_else(furnished, every):
    """It gets 403 on every other route, and on none; every other key, with all rights, gets 403 on those of workers."""
    worker = furnished.worker_key()
    assert sum(one.of_workers for one in every) >= 4
    for one in every:
        if one.of_workers:
            for key in (furnished.key("local", Scope.ADMIN), furnished.key("local")):
                answer = one.send(furnished, furnished.job, key)
                assert (answer.status_code, problem_of(answer)) == (403, "forbidden"), one
            answer = one.send(furnished, furnished.job, worker)
            assert answer.status_code in {400, 409}, (one, answer.text)  # no body, no token, no runner
        elif one.scopes:
            answer = one.send(furnished, furnished.job, worker)
            assert (answer.status_code, problem_of(answer)) == (403, "forbidden"), one
    for path in ("/", "/v1/nothing", "/v1/openapi.json", "/v1/worker", "/v1/workers/claim", "/v1//worker/claim"):
        assert furnished.http.get(furnished.url + path, headers=worker).status_code == 403, path
    fixed = {"Authorization": f"Bearer {furnished.running.key}"}
    assert furnished.http.post(f"{furnished.url}/v1/worker/claim", headers=fixed, json={}).status_code == 403


def test_another_owners_job_is_as_unknown_as_none(furnished, every):
    """Whoever asks with another owner's key, admin or not, is answered exactly as for an id that nobody used."""
    for one in every:
        if not one.of_a_job:
            continue
        nobodys = str(uuid4())
        for scopes in ((), (Scope.ADMIN,)):
            # A new owner each time: a PUT leaves a job of that owner's behind.
            foreign = one.send(furnished, furnished.job, furnished.key(f"owner {uuid4()}", *scopes))
            unknown = one.send(furnished, nobodys, furnished.key(f"owner {uuid4()}", *scopes))
            if one.method == "PUT":
                assert foreign.status_code == unknown.status_code == 201
                assert foreign.json()["id"] == furnished.job
            else:
                assert without(foreign, furnished.job) == without(unknown, nobodys), one
                assert foreign.status_code == (403 if "/zarr/" in one.path else 404), one


def test_ids_belong_to_owners(furnished):
    """Two owners use one id: each has its own job and capture, and neither hears of the other."""
    mine, theirs = furnished.key("local"), furnished.key("second owner")
    path = f"{furnished.url}/v1/jobs/{furnished.job}"
    assert furnished.http.put(path, json=SPEC, headers=mine).status_code == 409
    put = furnished.http.put(path, json=SPEC, headers=theirs)
    assert (put.status_code, put.json()["owner"]) == (201, "second owner")
    assert furnished.http.put(path, json=SPEC, headers=theirs).status_code == 200
    assert furnished.http.get(path, headers=mine).json()["state"] == "succeeded"
    assert furnished.http.get(path, headers=theirs).json()["state"] in {"queued", "running"}
    captures = f"{furnished.url}/v1/captures/{furnished.job}"
    assert furnished.http.get(f"{captures}/slice?array=env/task", headers=theirs).status_code == 416
    assert furnished.http.get(f"{captures}/zarr/zarr.json", headers=theirs).status_code == 404
    assert furnished.http.get(f"{captures}/zarr/zarr.json", headers=mine).status_code == 200
    assert furnished.http.delete(path, headers=theirs).status_code == 409
    assert [job["owner"] for job in furnished.http.get(f"{furnished.url}/v1/jobs", headers=theirs).json()["jobs"]] == [
        "second owner"
    ]


def test_tags_and_ranges_tell_nothing_to_strangers(furnished):
    """304 and 416 come only after the owner was found to be asking."""
    chunk = f"{furnished.url}/v1/captures/{furnished.job}/zarr/rollout/action/c.0.0"
    mine = furnished.key("local")
    tag = furnished.http.get(chunk, headers=mine).headers["etag"]
    for conditions in ({"If-None-Match": tag}, {"Range": "bytes=99999999-"}):
        assert furnished.http.get(chunk, headers=mine | conditions).status_code in {304, 416}
        assert furnished.http.get(chunk, headers=furnished.key("a stranger") | conditions).status_code == 403
        assert furnished.http.get(chunk, headers=conditions).status_code == 401


def test_devices_do_not_name_other_owners_jobs(furnished):
    """The job of a device is named to its owner only."""
    owner = furnished.key("busy owner")
    job = furnished.http.post(f"{furnished.url}/v1/jobs", json=SPEC, headers=owner).json()["id"]
    shown = furnished.http.get(f"{furnished.url}/v1/capabilities", headers=furnished.key("curious")).text
    assert job not in shown
    assert furnished.job not in shown


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "a b", "[::1"]
)
def test_a_foreign_host_is_refused(furnished, host):
    """A page that rebinds its own name to loopback, or a malformed name, gets nothing, key or not."""
    for path in ("/healthz", "/v1/jobs"):
        answer = furnished.http.get(furnished.url + path, headers=furnished.key("local") | {"Host": host})
        assert answer.status_code == 400
        if answer.headers.get("content-type") == PROBLEM_MEDIA_TYPE:
            assert "allowed-host" in answer.json()["detail"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8642", "127.0.0.1:1", "127.9.9.9", "[::1]:8642"])
def test_every_name_of_this_machine_is_let_in(furnished, host):
    """Whatever local port a tunnel uses, loopback is loopback."""
    assert furnished.http.get(f"{furnished.url}/healthz", headers={"Host": host}).status_code == 200


def test_no_origin_is_allowed_to_read(furnished):
    """A preflight is refused and no answer carries a CORS header."""
    origin = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    for headers in (origin, origin | furnished.key("local")):
        answer = furnished.http.options(f"{furnished.url}/v1/jobs", headers=headers)
        assert answer.status_code in {401, 405}
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_submits_nothing(furnished, every, kind):
    """Every operation with a body wants application/json, which no page may send across origins unasked."""
    for one in every:
        if one.body is not None:
            path = one.path.replace("{job_id}", str(uuid4()))
            key = furnished.worker_key() if one.of_workers else furnished.key("local")
            headers = key | TOKEN | ({"Content-Type": kind} if kind else {})
            answer = furnished.http.request(one.method, furnished.url + path, content=json.dumps(SPEC), headers=headers)
            assert (answer.status_code, problem_of(answer)) == (415, "unsupported-media-type"), one
