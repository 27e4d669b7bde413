"""The HTTP contract, asked by hand: problems, rights, ranges, tags."""

from __future__ import annotations

import io
from uuid import uuid4

import httpx
import numpy as np
import pytest

from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.service import Service
from attnscope_server.errors import ExposureError
from attnscope_server.records.keys import Scope
from attnscope_server.root.captures import Captures
from attnscope_server.serving import serve_background
from attnscope_server.settings import Settings
from attnscope_storage import reductions
from attnscope_storage.shades import as_u8
from attnscope_storage.wire import PROBLEM_MEDIA_TYPE, ProblemCode


@pytest.fixture(scope="module")
def capture(service):
    """Return the path of a finished capture's routes."""
    with Service(Transport(Connection(service.url, service.key, "a test"))) as client:
        job = client.submit(checkpoint="AD-darkroom", steps=40, tasks={"goals": [(5, 4)]}).wait()
    return f"/v1/captures/{job.id}"


SPEC = {"kind": "capture", "checkpoint": "AD-darkroom", "steps": 5}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/jobs", {"kind": "dance"}, 400, ProblemCode.INVALID_REQUEST),
        ("POST", "/v1/jobs", SPEC | {"steps": -1}, 400, ProblemCode.INVALID_REQUEST),
        ("POST", "/v1/jobs", SPEC | {"unknown": 1}, 400, ProblemCode.INVALID_REQUEST),
        ("POST", "/v1/jobs", SPEC | {"checkpoint": "nobody"}, 422, ProblemCode.UNKNOWN_CHECKPOINT),
        ("POST", "/v1/jobs", SPEC | {"environment": {"id": "os:system"}}, 400, ProblemCode.INVALID_REQUEST),
        ("POST", "/v1/jobs", SPEC | {"environment": {"id": "CartPole-v1"}}, 422, ProblemCode.UNKNOWN_ENVIRONMENT),
        ("GET", "/v1/tasks?preset=nothing", None, 404, ProblemCode.NOT_FOUND),
        ("GET", "/v1/tasks?preset=key-to-door&split=none", None, 400, ProblemCode.INVALID_REQUEST),
        ("POST", "/v1/jobs", SPEC | {"label": "x" * 2_000_000}, 413, ProblemCode.TOO_LARGE),
        ("PUT", "/v1/jobs/not-a-uuid", SPEC, 400, ProblemCode.INVALID_REQUEST),
        ("GET", "/v1/jobs?cursor=zzz", None, 400, ProblemCode.INVALID_REQUEST),
        ("GET", "/v1/jobs?state=dancing", None, 400, ProblemCode.INVALID_REQUEST),
        ("GET", "/v1/jobs/00000000-0000-4000-8000-000000000000", None, 404, ProblemCode.NOT_FOUND),
        ("GET", "/v1/nothing", None, 404, ProblemCode.NOT_FOUND),
        ("DELETE", "/v1/jobs", None, 405, ProblemCode.METHOD_NOT_ALLOWED),
        ("GET", "/v1/checkpoints/nobody", None, 404, ProblemCode.NOT_FOUND),
    ],
)
def test_errors_are_problem_documents(http, method, path, body, status, code):
    """Each bad request has its status, its code and a reason."""
    answer = http.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert answer.json()["type"].endswith(code)
    assert answer.json()["detail"]


def test_a_body_must_be_json(http):
    """A form cannot submit a job."""
    answer = http.post("/v1/jobs", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_no_key_no_answer(service, capture):
    """Every route but health wants a key."""
    for path in ("/v1/jobs", "/v1/whoami", "/v1/checkpoints", f"{capture}/zarr/zarr.json", f"{capture}/slice?array=x"):
        assert httpx.get(service.url + path).status_code == 401
        assert httpx.get(service.url + path, headers={"Authorization": "Bearer ats_wrong"}).status_code == 401
    assert httpx.get(service.url + "/healthz").status_code == 200
    assert httpx.get(service.url + "/readyz").status_code == 200


def test_another_owner_sees_nothing(service, capture):
    """A foreign job is as unknown as one that never was; on the Zarr route both are 403."""
    key = service.state.keys.create("somebody else")
    header = {"Authorization": f"Bearer {key}"}
    job = capture.rsplit("/", 1)[1]
    for name in (job, str(uuid4())):
        assert httpx.get(f"{service.url}/v1/jobs/{name}", headers=header).status_code == 404
        assert httpx.get(f"{service.url}/v1/captures/{name}/zarr/zarr.json", headers=header).status_code == 403
        assert httpx.get(f"{service.url}/v1/captures/{name}/slice?array=env/task", headers=header).status_code == 404
    assert httpx.get(f"{service.url}/v1/jobs", headers=header).json()["jobs"] == []


def test_scopes_and_revocation(service):
    """A key that may only read jobs submits nothing; a revoked one is no key."""
    key = service.state.keys.create("reader", [Scope.JOBS_READ])
    header = {"Authorization": f"Bearer {key}"}
    assert httpx.post(f"{service.url}/v1/jobs", json=SPEC, headers=header).status_code == 403
    assert httpx.get(f"{service.url}/v1/jobs", headers=header).status_code == 200
    service.state.keys.revoke(key.split("_")[1])
    assert httpx.get(f"{service.url}/v1/jobs", headers=header).status_code == 401


def test_chunks_have_tags_and_ranges(http, capture):
    """A committed chunk is immutable, answers 304 to its tag, and serves one range of bytes."""
    key = f"{capture}/zarr/rollout/action/c.0.0"
    whole = http.get(key)
    assert "immutable" in whole.headers["cache-control"]
    assert http.get(key, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    assert http.head(key).headers["content-length"] == str(len(whole.content))
    part = http.get(key, headers={"Range": "bytes=2-5"})
    assert part.status_code == 206
    assert part.content == whole.content[2:6]
    assert http.get(key, headers={"Range": "bytes=-3"}).content == whole.content[-3:]
    assert http.get(key, headers={"Range": "bytes=999999-"}).status_code == 416
    other = http.get(key, headers={"Range": "bytes=2-5", "If-Range": '"another version"'})
    assert (other.status_code, other.content) == (200, whole.content)
    same = http.get(key, headers={"Range": "bytes=2-5", "If-Range": whole.headers["ETag"]})
    assert (same.status_code, same.content) == (206, whole.content[2:6])


@pytest.mark.parametrize(
    "key", ["rollout/action/c.9.0", ".zgroup", "rollout/action/c.0", "..%2f..%2flocal.key", "%2e%2e/%2e%2e/local.key"]
)
def test_what_is_not_committed_is_404(http, capture, key):
    """Beyond the committed shape, and whatever is no key of the store, is absent."""
    assert http.get(f"{capture}/zarr/{key}").status_code == 404


def test_a_lost_chunk_is_500_and_never_404(service, http):
    """A committed chunk that is missing on disk is an error for every reader."""
    with Service(Transport(Connection(service.url, service.key, "a test"))) as client:
        job = client.submit(checkpoint="AD-darkroom", steps=5, tasks={"goals": [(5, 4)]}).wait()
    (Captures(service.settings.data_root).path(job.id) / "rollout/action/c.0.0").unlink()
    for path in ("zarr/rollout/action/c.0.0", "slice?array=rollout/action"):
        answer = http.get(f"/v1/captures/{job.id}/{path}")
        assert answer.status_code == 500
        assert answer.json()["type"].endswith(ProblemCode.CHUNK_LOST)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("array=nothing", 400),
        ("array=attention/other", 422),
        ("array=rollout/action&wing=1", 400),
        ("array=rollout/action&step=40", 416),
        ("array=rollout/action&step=0:41", 416),
        ("array=rollout/action&step=a", 400),
        ("array=rollout/action&step=0:5:0", 400),
        ("array=rollout/action&env=1", 400),
        ("array=rollout/action&reduce=median&over=step", 400),
        ("array=rollout/action&reduce=mean&over=wing", 400),
        ("array=rollout/action&format=exe", 400),
        ("array=rollout/action&reduce=age-profile", 400),
        ("array=attention/rows&reduce=age-profile&step=3", 400),
        ("array=attention/rows&reduce=age-profile&slot=0:5", 400),
        ("array=attention/rows&pool=8", 400),
        ("array=attention/maps&pool=300", 400),
        ("array=attention/maps&pool=8&pool_by=median", 400),
        ("array=stats/entropy&reduce=mean&over=step&per=largest-entropy", 400),
        ("array=stats/entropy&reduce=step-mean&per=length", 400),
        ("array=stats/entropy&reduce=step-mean&least=0", 400),
        ("array=rollout/action", 200),
    ],
)
def test_slices_refuse_what_makes_no_sense(http, capture, query, status):
    """Each malformed or uncommitted selection has its status."""
    assert http.get(f"{capture}/slice?{query}").status_code == status


def test_an_answer_repeats_its_question(http, capture):
    """Job, array and selection of a slice, and the key of the raw store, stand in its headers."""
    answer = http.get(f"{capture}/slice?array=rollout/action&step=3:5&env=0")
    found = {name: answer.headers[f"x-attnscope-{name}"] for name in ("job", "array", "selection")}
    assert found == {"job": capture.rpartition("/")[2], "array": "rollout/action", "selection": "env=0&step=3:5"}
    long = http.get(f"{capture}/slice?array=rollout/action&step={','.join(['1'] * 900)}")
    assert long.headers["x-attnscope-selection"].startswith("sha256:")
    assert http.get(f"{capture}/zarr/zarr.json").headers["x-attnscope-key"] == "zarr.json"


def test_reductions_ignore_what_is_absent(http, capture):
    """A mean over steps is NaN-aware, named axes go, and the u8 view squares back."""
    answer = http.get(f"{capture}/slice?array=attention/rows&row_env=0&reduce=mean&over=step")
    assert answer.headers["x-attnscope-dims"] == "layer,head,slot"
    reduced = np.frombuffer(answer.content[-3 * 4 * 100 * 4 :], np.float32).reshape(3, 4, 100)
    assert np.isfinite(reduced[..., :40]).all()
    assert np.isnan(reduced[..., 40:]).all()
    view = http.get(f"{capture}/slice?array=attention/rows&step=39&row_env=0&layer=0&head=0&format=u8").content
    assert len(view) == 100
    assert view[40] == 255
    weights = (np.frombuffer(view[:40], np.uint8) / 254) ** 2
    assert abs(weights.sum() - 1) < 0.05


def test_reductions_of_steps_are_those_of_the_shared_code(http, capture):
    """Statistics, profile by age and retained mass of the steps that count equal the laptop's own of the rows."""

    def get(query: str) -> np.ndarray:
        answer = http.get(f"{capture}/slice?{query}")
        assert answer.status_code == 200, answer.text
        return np.load(io.BytesIO(answer.content))

    rows, length = get("array=attention/rows"), get("array=context/length")
    asked = "array=attention/rows&step=10:40&row_env=0:1&slot=0:40&least=20"
    profile = reductions.age_profile(rows[10:40, ..., :40], length[10:40], "last", 20).mean
    assert get(f"{asked}&reduce=age-profile") == pytest.approx(profile, abs=1e-6, nan_ok=True)
    retained = reductions.retained_mass(rows[10:40, ..., :40], length[10:40], "last", 7, 20).mean
    assert get(f"{asked}&reduce=retained-mass&budgets=7") == pytest.approx(retained, abs=1e-6)
    entropy = reductions.per_largest_entropy(get("array=stats/entropy"), length)
    found = get("array=stats/entropy&env=0:1&reduce=step-mean&least=20&per=largest-entropy")
    assert found.dtype == np.float64
    assert found == pytest.approx(entropy[length[:, 0] >= 20].mean(axis=0), abs=1e-12)


def test_maps_are_pooled_and_a_burst_travels_as_bytes(http, capture):
    """A map of at most so many cells, mean or largest; one environment's adjacent rows as one byte a weight."""
    whole = np.load(io.BytesIO(http.get(f"{capture}/slice?array=attention/maps&sample=0&row_env=0").content))
    for by in ("mean", "max"):
        answer = http.get(f"{capture}/slice?array=attention/maps&sample=0&row_env=0&pool=16&pool_by={by}")
        expected = reductions.pooled(whole, 16, by)
        assert max(expected.shape[-2:]) <= 16
        assert np.load(io.BytesIO(answer.content)) == pytest.approx(expected, abs=1e-6, nan_ok=True)
    burst = http.get(f"{capture}/slice?array=attention/rows&step=4:21&row_env=0&format=u8")
    rows = np.load(io.BytesIO(http.get(f"{capture}/slice?array=attention/rows&step=4:21&row_env=0").content))
    assert burst.content == as_u8(rows).tobytes()
    half = http.get(f"{capture}/slice?array=attention/rows&step=4&row_env=0&reduce=mean&over=layer,head&format=f16")
    assert half.headers["x-attnscope-dtype"] == "float16"


def test_caps_name_limit_and_request(second_service):
    """A slice over the cap says how much was asked and allowed, and how to cut it."""
    limits = {"slice_result_bytes": 1000}
    with second_service(limits=limits) as running:
        with Service(Transport(Connection(running.url, running.key, "a test"))) as client:
            job = client.submit(checkpoint="AD-darkroom", steps=40, tasks={"goals": [(5, 4)]}).wait()
        header = {"Authorization": f"Bearer {running.key}"}
        answer = httpx.get(f"{running.url}/v1/captures/{job.id}/slice?array=attention/rows", headers=header)
    assert answer.status_code == 413
    assert answer.json()["limit"] == 1000
    assert answer.json()["requested"] > 1000


def test_the_service_does_not_expose_itself(tmp_path):
    """Beyond loopback it wants TLS or a proxy."""
    with (
        pytest.raises(ExposureError, match="behind-proxy"),
        serve_background(Settings(data_root=tmp_path, host="192.0.2.1", port=0)),
    ):
        pass


def test_the_openapi_document_names_every_route(http):
    """The document is served and holds the contract's routes."""
    paths = http.get("/v1/openapi.json").json()["paths"]
    assert {"/v1/jobs", "/v1/jobs:estimate", "/v1/jobs/{job_id}", "/v1/captures/{job_id}/slice"} <= paths.keys()
    assert "409" in paths["/v1/jobs/{job_id}"]["put"]["responses"]
