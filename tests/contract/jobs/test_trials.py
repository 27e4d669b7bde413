"""Trials over a real socket: submitted, run by a real worker, read like a capture, killed and going on, cancelled."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import time

import httpx
import numpy as np
import pytest
import zarr

import attnscope
from attnscope.cli.boards import show_board
from attnscope.errors import JobCancelledError
from attnscope.fetching.http_store import HttpStore
from attnscope.report.trial import write_trial_report
from attnscope_server.records.keys import ALL_SCOPES
from attnscope_server.root.paths import capture_path
from attnscope_storage.errors import CaptureNotFoundError, StoreKindError
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import JobState, TrialSpec
from workload import TRIAL as ASKED

TIMED = ("speed/seconds", "speed/p50", "speed/p95")
"""Arrays that no two runs have alike."""


@pytest.fixture(scope="module")
def tried(service):
    """Return a finished trial's handle."""
    with attnscope.connect(service.url, service.key) as client:
        yield client.submit(TrialSpec.model_validate(ASKED)).wait()


def test_a_trial_runs_over_its_grid(tried):
    """Conditions are the grid, progress counts them, and `none` reproduces the uncompressed rollout bit for bit."""
    progress, conditions = tried.info.progress, tried.info.resolved.conditions
    assert [one.strategy for one in conditions] == ["none", "none", "recency", "uniform", "random"]
    assert (progress.conditions_committed, progress.conditions_total) == (5, 5)
    assert progress.steps_done == progress.steps_committed == progress.steps_total == 5 * 6 * 20
    results = tried.trial().results()
    for name in ("rollout/action", "rollout/reward", "trial/return"):
        assert np.array_equal(results.arrays[name][0], results.arrays[name][1]), name
    assert (results.kept[2:] < results.kept[0]).any()
    assert results.returns.shape == (5, 2, 2, 6)


def test_a_trial_is_read_like_a_capture(tried, service, tmp_path):
    """Slices, the raw store through stock zarr, a download and the service's own disk all hold the same numbers."""
    trial = tried.trial()
    stored = CaptureReader.open(capture_path(service.settings.data_root, str(tried.id)))
    assert verify(stored).ok
    group = zarr.open_group(HttpStore(tried._transport, str(tried.id)), mode="r")
    folder = trial.download(tmp_path / "trial.zarr")
    local = attnscope.open_trial(folder)
    for name in trial.names():
        truth = stored.array(name)[:]
        for found in (trial[name][:], group[name][...], local[name][:]):
            assert np.array_equal(found, truth, equal_nan=truth.dtype.kind == "f"), name
    assert group["trial/return"].metadata.dimension_names == ("condition", "seed", "task", "episode")
    assert local.conditions == tried.info.resolved.conditions
    assert local.spec == TrialSpec.model_validate(ASKED)


def test_slices_of_a_trial_know_its_axes(tried, service):
    """A condition beyond the commit is not committed, any other axis beyond its end is no request, and an array that
    was not asked for was not captured.
    """
    headers = {"Authorization": f"Bearer {service.key}"}
    with httpx.Client(base_url=f"{service.url}/v1/captures/{tried.id}", headers=headers) as http:

        def ask(**parameters):
            return http.get("/slice", params=parameters)

        cut = ask(array="trial/return", condition="2", reduce="mean", over="episode")
        assert np.load(io.BytesIO(cut.content)).shape == (2, 2)
        assert ask(array="trial/return", condition="5").status_code == 416
        assert ask(array="rollout/action", step="120").status_code == 400
        assert ask(array="trial/nothing").status_code == 400
        assert ask(array="speed/nothing").status_code == 422
        assert http.get("/maps", params={"step": "3"}).json()["type"].endswith("not-replayable")


def test_every_output_of_a_trial_gives_one_value(tried, tmp_path, capsys):
    """Terminal, text, CSV, JSON and page name the share of the gain that the stored returns give, tokens and KL too."""
    trial = tried.trial()
    returns, cells = trial["trial/return"][:].astype(float).mean(axis=-1), {c.index: c for c in trial.resolved.tasks}
    random = np.array([cells[int(task)].random_return for task in trial["env/task"][:]])
    gain = (returns - random).mean(axis=(1, 2))
    truth = {
        "kept": gain / gain[0],
        "share": trial["trial/kept"][:].sum(axis=(1, 2, 3)) / trial["trial/held"][:].sum(axis=(1, 2, 3)),
        "kl": trial["divergence/kl"][:].mean(axis=(1, 2, 3)),
    }
    files = {
        path.name: path.read_text() for path in write_trial_report(trial.results(), tmp_path) if path.suffix != ".png"
    }
    lines = list(csv.DictReader(io.StringIO(files["trial_conditions.csv"])))
    nested = json.loads(files["trial_conditions.json"])["conditions"]
    show_board(trial, as_json=False)
    shown = [line.split("\t") for line in capsys.readouterr().out.splitlines() if "\t" in line]
    page = re.findall(r"<tr class.*?</tr>", files["trial_report.html"], flags=re.DOTALL)
    assert len(lines) == len(nested) == len(shown) == len(page) == len(gain)
    for place, (line, one, row, told) in enumerate(zip(lines, nested, shown, page, strict=True)):
        kept, share, kl = (truth[name][place] for name in ("kept", "share", "kl"))
        assert float(line["kept"]) == pytest.approx(kept, abs=1e-6)
        assert float(line["share"]) == pytest.approx(share, abs=1e-6)
        assert float(line["kl"]) == pytest.approx(kl, abs=1e-6)
        assert one["verdict"]["kept"]["value"] == float(line["kept"])
        assert one["divergence"]["kl"]["value"] == float(line["kl"])
        between = f"({float(line['kept_low']):.2f} to {float(line['kept_high']):.2f})"
        row[4] = row[4].replace(" †", "")
        assert row[4] == f"{kept:.2f} {between}"
        assert row[6] == f"{kl:.3g}"
        cells = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", told)]
        assert cells[2] == f"{share:.0%}"
        assert cells[3].replace(" †", "") == row[4]
        assert row[4] in " ".join(files["trial_findings.txt"].replace(" †", "").split())
        assert cells[5] == row[-1] == line["words"]


def test_a_trial_is_no_capture(tried, service, tmp_path):
    """If a capture is asked for, a trial is refused by name, and the other way round."""
    with pytest.raises(StoreKindError, match="is a trial"):
        tried.capture()
    folder = tried.trial().download(tmp_path / "trial.zarr")
    with pytest.raises(StoreKindError, match="open_trial"):
        attnscope.open(folder)
    with attnscope.connect(service.url, service.key) as client:
        assert tried.id in [job.id for job in client.jobs(kind="trial")]
        assert list(client.jobs(kind="capture")) == []


def test_another_owner_sees_nothing_of_a_trial(tried, service):
    """Another owner's key finds neither the job, nor its slices, nor its chunks."""
    headers = {"Authorization": f"Bearer {service.state.keys.create('another', ())}"}
    stranger = {"Authorization": f"Bearer {service.state.keys.create('another', ALL_SCOPES)}"}
    base = f"{service.url}/v1"
    with httpx.Client() as http:
        for path, status in (
            (f"/jobs/{tried.id}", 404),
            (f"/captures/{tried.id}/slice?array=trial/return", 404),
            (f"/captures/{tried.id}/zarr/zarr.json", 403),
        ):
            assert http.get(base + path, headers=stranger).status_code == status, path
            assert http.get(base + path, headers=headers).status_code == 403, path
            assert http.get(base + path).status_code == 401, path


REFUSED = [
    ({"strategies": []}, 400, "invalid-request"),
    ({"strategies": [{"name": "nobody"}]}, 400, "invalid-request"),
    ({"strategies": [{"name": "../none"}]}, 400, "invalid-request"),
    ({"strategies": [{"name": "recency", "parameters": {"__class__": 1}}]}, 400, "invalid-request"),
    ({"strategies": [{"name": "sinks", "parameters": {"sinks": "8"}}]}, 400, "invalid-request"),
    ({"strategies": [{"name": "sinks", "parameters": {"sinks": 10**30}}]}, 400, "invalid-request"),
    ({"strategies": [{"name": "sinks", "parameters": {"sinks": "\ud800"}}]}, 400, "invalid-request"),
    ({"strategies": [{"name": "anchored", "parameters": {"inner": {"name": "nobody"}}}]}, 400, "invalid-request"),
    ({"strategies": [{"name": "recency"}] * 2}, 400, "invalid-request"),
    ({"strategies": [{"name": "recency"}] * 65}, 400, "invalid-request"),
    ({"budgets": []}, 400, "invalid-request"),
    ({"budgets": [0]}, 400, "invalid-request"),
    ({"budgets": [1.0]}, 400, "invalid-request"),
    ({"budgets": [True]}, 400, "invalid-request"),
    ({"budgets": [0.4, 0.4]}, 400, "invalid-request"),
    ({"budgets": [100]}, 400, "invalid-request"),
    ({"positions": ["sideways"]}, 400, "invalid-request"),
    ({"positions": ["keep"], "memory": "stateful"}, 400, "invalid-request"),
    ({"path": "cached"}, 400, "invalid-request"),
    ({"interval": 0}, 400, "invalid-request"),
    ({"interval": "sometimes"}, 400, "invalid-request"),
    ({"margin": 0}, 400, "invalid-request"),
    ({"margin": 2}, 400, "invalid-request"),
    ({"episodes": 0}, 400, "invalid-request"),
    ({"seeds": [1, 1]}, 400, "invalid-request"),
    ({"speed": {"envs": []}}, 400, "invalid-request"),
    ({"speed": {"envs": [5000]}}, 400, "invalid-request"),
    ({"steps": 5}, 400, "invalid-request"),
    ({"checkpoint": "nobody"}, 422, "unknown-checkpoint"),
    ({"environment": {"id": "Nothing-v0"}}, 422, "unknown-environment"),
    ({"seeds": list(range(9000)), "tasks": {"split": "all"}}, 413, "too-large"),
    ({"episodes": 1_000_000, "seeds": list(range(100))}, 413, "too-large"),
    ({"episodes": 5_000, "seeds": list(range(500))}, 413, "too-large"),
]


@pytest.mark.parametrize(("change", "status", "code"), REFUSED)
def test_what_a_trial_cannot_be_is_refused(service, change, status, code):
    """Every wrong field has its status and its problem, and a cap names itself and what was asked."""
    answer = httpx.post(
        f"{service.url}/v1/jobs:estimate",
        content=json.dumps(ASKED | change),
        headers={"Authorization": f"Bearer {service.key}", "Content-Type": "application/json"},
    )
    document = answer.json()
    assert (answer.status_code, document["type"].rsplit(":", 1)[1]) == (status, code), document
    assert 0 < len(document["detail"]) < 2000
    if status == 413:
        assert document["requested"] > document["limit"]


def conditions(root, job) -> int:
    """Return the conditions that are committed on the service's disk."""
    try:
        return CaptureReader.open(capture_path(root, str(job.id))).steps_committed
    except CaptureNotFoundError:
        return 0


def wait_for(root, job, count: int) -> None:
    """Return once so many conditions are committed."""
    deadline = time.monotonic() + 120
    while conditions(root, job) < count:
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)


def test_a_killed_trial_ends_with_the_same_arrays(server, service, tried, differing):
    """Its worker killed with -9, then the whole service, a trial goes on by itself; only what was timed differs, and
    progress never says that less is committed than before.
    """
    client = server.start()
    job = client.submit(TrialSpec.model_validate(ASKED))
    wait_for(server.root, job, 1)
    server.worker().kill()
    wait_for(server.root, job, 3)
    server.kill()
    client = server.start()
    job = client.job(job.id)
    seen = []
    while not job.refresh(wait=0.05).state.final:
        seen.append(job.info.progress.steps_committed)
    assert job.state is JobState.SUCCEEDED
    assert job.info.attempts > 1
    assert seen == sorted(seen)
    paths = capture_path(service.settings.data_root, str(tried.id)), capture_path(server.root, str(job.id))
    assert [name for name in differing(*paths) if name not in TIMED] == []


def test_a_cancelled_trial_keeps_what_it_committed(service, client):
    """Cancelled within its grid, a trial ends, and the conditions that were committed stay readable."""
    job = client.submit(TrialSpec.model_validate(ASKED | {"episodes": 20}))
    wait_for(service.settings.data_root, job, 1)
    with pytest.raises(JobCancelledError):
        job.cancel().wait()
    trial = job.trial()
    assert not trial.complete
    results = trial.results()
    assert 1 <= results.committed < 5
    assert np.isfinite(results.returns).all()
