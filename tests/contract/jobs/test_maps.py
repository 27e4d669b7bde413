"""Maps of any step over a real socket: the reference's own numbers, rights, caps, tags, and processes that die."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest
from scipy import stats

from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.figures.causal import causal_map
from attnscope.reading.influence import influence
from attnscope.service import Service
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.records.keys import Scope
from attnscope_server.root.captures import Captures
from attnscope_storage.wire import MAP_KINDS, PROBLEM_MEDIA_TYPE, PROBLEMS, ProblemCode
from reading_here import reading_here

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def client_of(running) -> Service:
    """Return a client of a running service."""
    return Service(Transport(Connection(running.url, running.key, "a test")))


@pytest.fixture(scope="module")
def golden_jobs(service):
    """Return the reference's greedy rollouts as finished jobs, by the mask of the checkpoint."""
    registry = CheckpointRegistry(service.settings.checkpoints_folder)
    with reading_here():
        registry.add(GOLDEN / "ckpt-noncausal.pt", causal=False, name="noncausal")
    options = {"tasks": {"goals": [(5, 4)]}, "sampling": {"mode": "greedy"}, "maps": {"steps": [70]}}
    with client_of(service) as client:
        jobs = {
            "causal": client.submit(checkpoint="AD-darkroom", steps=150, **options),  # the shipped one
            "noncausal": client.submit(checkpoint="noncausal", steps=220, **options),
        }
        yield {name: job.wait() for name, job in jobs.items()}


@pytest.fixture
def maps(http, golden_jobs):
    """Return a function that asks for maps of the causal rollout."""

    def ask(name="causal", headers=None, **asked) -> httpx.Response:
        return http.get(f"/v1/captures/{golden_jobs[name].id}/maps", params=asked, headers=headers)

    return ask


def array(answer) -> np.ndarray:
    """Return an answer's array."""
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content), allow_pickle=False)


@pytest.mark.parametrize("name", ["causal", "noncausal"])
def test_any_step_equals_the_golden_rows(maps, golden_jobs, name):
    """Before and after the slide, sampled or not, the deciding query's weights are the reference's to 1e-5."""
    golden = np.load(GOLDEN / f"golden-{name}.npz")
    at = golden["greedy_row_steps"].tolist() if "greedy_row_steps" in golden else list(range(150))
    for step in (at[0], at[7], at[len(at) // 2], at[-1]):
        answer = maps(name, step=step)
        whole, n = array(answer), min(step + 1, golden_jobs[name].info.resolved.steps, golden["greedy_rows"].shape[-1])
        assert whole.dtype == np.float32
        assert whole.shape[2:] == (n, n)
        assert np.abs(whole[:, :, -1] - golden["greedy_rows"][at.index(step)][..., :n]).max() < 1e-5
        assert answer.headers["x-attnscope-dims"] == "layer,head,query,slot"
        assert answer.headers["x-attnscope-start"] == str(step + 1 - n)


def test_a_stored_map_is_the_replayed_one(maps, golden_jobs):
    """If a map was sampled too, both are the same to float16 rounding; parts and formats are cuts of the whole."""
    whole = array(maps(step=70))
    stored = golden_jobs["causal"].capture().map(70)
    assert (np.abs(whole - stored) <= 2e-5 + 2.0**-11 * whole).all()
    some = maps(step=70, layers=1, heads="0:4:2")
    assert some.headers["x-attnscope-dims"] == "head,query,slot"
    assert np.array_equal(array(some), whole[1, ::2])
    assert np.array_equal(array(maps(step=-80, layers="2,0")), whole[[2, 0]])
    half = array(maps(step=70, format="f16"))
    assert np.array_equal(half, whole.astype(np.float16))
    view = maps(step=70, layers=0, heads=0, format="u8")
    assert view.headers["x-attnscope-shape"] == "71,71"
    squares = (np.frombuffer(view.content, np.uint8).reshape(71, 71) / 254) ** 2
    assert np.abs(squares - whole[0, 0]).max() < 0.005


def test_every_kind_has_its_axes(maps):
    """Value-weighted, rollout and leave-one-out answer in their own axes, with numbers that mean something."""
    weighted, weights = array(maps(step=40, kind="value-weighted")), array(maps(step=40))
    norms = weighted[:, :, -1] / weights[:, :, -1]
    assert (norms > 0).all()
    assert np.allclose(weighted[:, :, 20, :21], weights[:, :, 20, :21] * norms[:, :, :21], rtol=1e-4)
    rolled = array(maps(step=40, kind="rollout", layers=-1))
    assert rolled.shape == (41, 41)
    assert np.allclose(rolled.sum(-1), 1, atol=1e-5)
    left = maps(step=40, kind="leave-one-out")
    assert left.headers["x-attnscope-dims"] == "transition"
    assert array(left).shape == (40,)
    assert array(left).max() > 1e-5
    some = array(maps(step=40, kind="leave-one-out", transitions="30:33"))
    assert np.allclose(some, array(left)[30:33], atol=1e-6)
    masked = array(maps(step=40, kind="leave-one-out", transitions="30:33", positions="mask"))
    assert not np.allclose(masked, some, atol=1e-7)
    assert array(maps(step=0, kind="leave-one-out")).shape == (0,)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"step": 150}, ProblemCode.NOT_COMMITTED),
        ({"step": -151}, ProblemCode.NOT_COMMITTED),
        ({"step": "1:3"}, ProblemCode.INVALID_REQUEST),
        ({}, ProblemCode.INVALID_REQUEST),
        ({"step": 3, "env": 1}, ProblemCode.INVALID_REQUEST),
        ({"step": 3, "env": -1}, ProblemCode.INVALID_REQUEST),
        ({"step": 3, "layers": 3}, ProblemCode.INVALID_REQUEST),
        ({"step": 3, "heads": "x"}, ProblemCode.INVALID_REQUEST),
        ({"step": 3, "kind": "guess"}, ProblemCode.INVALID_REQUEST),
        ({"step": 3, "wings": 2}, ProblemCode.INVALID_REQUEST),
        ({"step": 3, "kind": "rollout", "heads": 1}, ProblemCode.INVALID_REQUEST),
        ({"step": 3, "positions": "mask"}, ProblemCode.INVALID_REQUEST),
        ({"step": 3, "transitions": 1}, ProblemCode.INVALID_REQUEST),
        ({"step": 3, "kind": "leave-one-out", "transitions": 3}, ProblemCode.INVALID_REQUEST),
        ({"step": 3, "kind": "value-weighted", "format": "u8"}, ProblemCode.INVALID_REQUEST),
        ({"step": 3, "kind": "leave-one-out", "format": "f16"}, ProblemCode.INVALID_REQUEST),
    ],
)
def test_questions_that_make_no_sense_are_refused(maps, asked, code):
    """Each has its code and a reason, before any process is asked."""
    answer = maps(**asked)
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert answer.json()["type"].endswith(code)
    assert answer.status_code == PROBLEMS[code][0]


def test_only_the_owner_may_ask(service, golden_jobs):
    """No key is 401, a key without the scope 403, another owner's 404, as on the slice route."""
    url = f"{service.url}/v1/captures/{golden_jobs['causal'].id}/maps?step=3"
    assert httpx.get(url).status_code == 401
    for owner, scopes, status in (("local", [Scope.JOBS_READ], 403), ("somebody else", None, 404)):
        key = service.state.keys.create(owner, scopes) if scopes else service.state.keys.create(owner)
        assert httpx.get(url, headers={"Authorization": f"Bearer {key}"}).status_code == status


def test_an_unchanged_map_is_not_sent_again(maps, service):
    """A committed step never changes: its tag answers 304, and asking again computes nothing."""
    first = maps(step=33)
    tag = first.headers["etag"]
    assert maps(step=33, headers={"If-None-Match": tag}).status_code == 304
    assert maps(step=34).headers["etag"] != tag
    assert maps(step=33, format="f16").headers["etag"] != tag
    assert maps(step=33, layers=0).headers["etag"] != maps(step=33, layers="0:1").headers["etag"]
    process = service.state.replays.process
    submitted, process.submit = process.submit, None
    try:
        assert maps(step=33).content == first.content
    finally:
        process.submit = submitted


def test_a_running_capture_is_replayed_beside_its_job(service, http):
    """While its job runs, committed steps are answered and the others refused as not committed yet."""
    with client_of(service) as client:
        job = client.submit(checkpoint="AD-darkroom", steps=1_000_000, tasks={"goals": [(5, 4)]}, maps={"count": 0})
        while not job.refresh(wait=0.05).info.progress.steps_committed:
            assert not job.state.final
        url = f"/v1/captures/{job.id}/maps"
        assert array(http.get(url, params={"step": 5})).shape == (3, 4, 6, 6)
        refused = http.get(url, params={"step": 999_999})
        assert refused.status_code == 416
        assert refused.json()["retryable"] is True
        assert not job.refresh().state.final
        job.cancel()
        while not job.refresh(wait=2.0).state.final:
            pass
        assert array(http.get(url, params={"step": 5})).shape == (3, 4, 6, 6)


def test_a_damaged_rollout_is_a_fault_and_never_another_map(service, http):
    """A damaged chunk of the window is 500 by its key, and so is a rollout that leads to other logits."""
    with client_of(service) as client:
        job = client.submit(checkpoint="AD-darkroom", steps=30, tasks={"goals": [(5, 4)]}).wait()
    folder = Captures(service.settings.data_root).path(job.id)
    chunk = folder / "rollout/action/c.0.0"
    content = bytearray(chunk.read_bytes())
    content[-3] ^= 0xFF
    chunk.write_bytes(content)
    answer = http.get(f"/v1/captures/{job.id}/maps", params={"step": 20})
    assert answer.status_code == 500
    assert answer.json()["type"].endswith(ProblemCode.CHUNK_DAMAGED)
    assert "rollout/action/c.0.0" in answer.json()["detail"]
    (folder / "policy/logits/c.0.0.0").write_bytes((folder / "stats/sink/c.0.0.0.0").read_bytes())
    assert http.get(f"/v1/captures/{job.id}/maps", params={"step": 0}).status_code == 500


def test_a_killed_process_comes_back(maps, service):
    """Killed while idle, the next question starts another and is answered."""
    process = service.state.replays.process
    maps(step=12)
    before = process.pid
    os.kill(before, signal.SIGKILL)
    process._process.wait()
    assert array(maps(step=13)).shape[-1] == 14
    assert process.pid != before


DIES_ONCE = """
import pathlib, runpy, sys
mark = pathlib.Path(sys.argv[1]) / "died"
if not mark.exists():
    mark.touch()
    sys.stdout.write('{"type": "ready"}\\n'); sys.stdout.flush()
    sys.stdin.readline(); sys.exit(9)
runpy.run_module("attnscope_server.replaying.worker", run_name="__main__")
"""
STUCK = """
import sys, time
sys.stdout.write('{"type": "ready"}\\n'); sys.stdout.flush()
time.sleep(600)
"""
BUSY = """
import sys
sys.stdout.write('{"type": "ready"}\\n'); sys.stdout.flush()
while True: pass
"""


def captured(client) -> str:
    """Return the path of the maps of a short finished capture."""
    job = client.submit(checkpoint="AD-darkroom", steps=5, tasks={"goals": [(5, 4)]}).wait()
    return f"/v1/captures/{job.id}/maps"


def test_a_process_that_dies_at_work_is_told_as_retryable(second_service):
    """A process killed over a question answers 503 retryable; the next question works."""
    with (
        second_service(replay_command=(sys.executable, "-c", DIES_ONCE)) as running,
        client_of(running) as client,
        httpx.Client(base_url=running.url, headers={"Authorization": f"Bearer {running.key}"}, timeout=60) as bare,
    ):
        path = captured(client)
        refused = bare.get(path, params={"step": 2})
        assert refused.status_code == 503
        assert refused.json()["retryable"] is True
        assert array(bare.get(path, params={"step": 2})).shape == (3, 4, 3, 3)


def test_caps_name_what_was_asked_and_what_is_allowed(second_service):
    """Too large an answer, too much arithmetic and too long a time are 413; too many at once are 429, retryable."""
    limits = {
        "replay_result_bytes": 400,
        "replay_flops": 3e6,
        "replay_seconds": 2.0,
        "replays_per_owner": 1,
        "replays_waiting": 5,
    }
    with (
        second_service(replay_command=(sys.executable, "-c", BUSY), limits=limits) as running,
        client_of(running) as client,
        httpx.Client(base_url=running.url, headers={"Authorization": f"Bearer {running.key}"}, timeout=60) as bare,
    ):
        path = captured(client)
        for asked, limit in (({"step": 4}, 400), ({"step": 4, "kind": "leave-one-out"}, 3e6)):
            refused = bare.get(path, params=asked)
            assert refused.status_code == 413
            assert refused.json()["limit"] == limit
            assert refused.json()["requested"] > limit
        answers: list[httpx.Response] = []
        first = threading.Thread(target=lambda: answers.append(bare.get(path, params={"step": 0})))
        first.start()
        while running.state.replays.asking == 0:
            first.join(0.01)
            assert first.is_alive()
        many = bare.get(path, params={"step": 1, "layers": 0, "heads": 0})
        assert many.status_code == 429
        assert (many.json()["limit"], many.json()["retryable"]) == (1, True)
        first.join()
        assert answers[0].status_code == 413
        assert answers[0].json()["limit"] == 2.0


def test_a_process_that_hangs_is_told_as_retryable(second_service):
    """A replay that computes nothing is no fault of the question: 503, not 413."""
    with (
        second_service(replay_command=(sys.executable, "-c", STUCK), limits={"replay_seconds": 1.0}) as running,
        client_of(running) as client,
        httpx.Client(base_url=running.url, headers={"Authorization": f"Bearer {running.key}"}, timeout=60) as bare,
    ):
        refused = bare.get(captured(client), params={"step": 2})
        assert (refused.status_code, refused.json()["retryable"]) == (503, True)


def test_capabilities_and_openapi_tell_of_it(http):
    """Kinds of replayed maps are listed with their caps, and the document describes the route."""
    told = http.get("/v1/capabilities").json()
    assert told["map_kinds"] == list(MAP_KINDS)
    assert told["limits"]["replays_per_owner"] == 4
    route = http.get("/v1/openapi.json").json()["paths"]["/v1/captures/{job_id}/maps"]["get"]
    assert {"step", "env", "kind", "layers", "heads", "positions", "transitions", "format"} <= {
        parameter["name"] for parameter in route["parameters"]
    }
    assert {"200", "304", "404", "410", "413", "416", "422", "429", "500", "503"} <= route["responses"].keys()


def test_attention_is_ranked_against_influence(golden_jobs):
    """The figure's correlations are scipy's, of the decision row and the leave-one-out effects of the same step."""
    capture = golden_jobs["causal"].capture()
    found = influence(capture, 70)
    row = capture.map(70)[..., -1, :-1].astype(np.float64)
    effects = capture.leave_one_out(70)
    assert found.agreement[1, 2] == pytest.approx(stats.spearmanr(row[1, 2], effects).statistic)
    assert found.attention.sum(axis=-1) == pytest.approx(1)
    figure = causal_map(capture, [60, 70])
    above, below, beside = figure.axes[:3]
    assert above.images[0].get_array().shape == (found.attention.shape[0] * found.attention.shape[1], len(effects))
    assert sum(len(line.get_segments()) for line in below.collections) == len(effects)
    averaged = next(line for line in beside.lines if line.get_gid() == "averaged")
    means = [influence(capture, step).mean_agreement for step in (60, 70)]
    assert averaged.get_xdata()[0] == pytest.approx(np.mean(means))
