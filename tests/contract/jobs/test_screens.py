"""Screens over a real socket: run by a real worker, read by the client; another owner's capture is unknown."""

from __future__ import annotations

import json
import multiprocessing
from operator import attrgetter

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

import attnscope
from attnscope.cli.main import app
from attnscope_server.records.keys import ALL_SCOPES
from attnscope_server.root.paths import capture_path
from attnscope_storage.errors import StoreKindError
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify

CAPTURED = {"checkpoint": "AD-darkroom-seed42", "tasks": {"split": "test", "indices": [2, 7]}, "seeds": [0, 4]}


@pytest.fixture(scope="module")
def client(service):
    """Return a client of the running service."""
    with attnscope.connect(service.url, service.key) as connected:
        yield connected


@pytest.fixture(scope="module")
def captured(client):
    """Return a finished capture's handle."""
    return client.submit(**CAPTURED, steps=120, maps={"count": 0}).wait()


@pytest.fixture(scope="module")
def screened(client, captured):
    """Return a finished screen's handle."""
    asked = {"strategies": [{"name": "none"}, {"name": "recency"}, {"name": "tova"}], "budgets": [0.25, 10]}
    return client.submit(kind="screen", capture=captured.id, decisions=64, ages=True, **asked).wait()


def test_a_screen_is_read_like_any_store(screened, service, tmp_path):
    """Remote, downloaded and on the service's disk it holds the same numbers, and `none` departs by nothing."""
    screen = screened.screen()
    stored = CaptureReader.open(capture_path(service.settings.data_root, str(screened.id)))
    assert verify(stored).ok
    local = attnscope.open_screen(screen.download(tmp_path / "screen.zarr"))
    for name in screen.names():
        truth = stored.array(name)[:]
        assert np.array_equal(screen[name][:], truth, equal_nan=truth.dtype.kind == "f"), name
        assert np.array_equal(local[name][:], truth, equal_nan=truth.dtype.kind == "f"), name
    results = local.results()
    none = next(arm.index for arm in local.arms if arm.strategy == "none")
    assert results.tv_live.value[none] == 0
    assert results.tv_live.value.max() > 0
    assert (results.per_episode.low <= results.per_episode.value).all()
    assert not results.reliable
    assert screened.info.progress.steps_done == screened.info.progress.steps_total == 4
    with pytest.raises(StoreKindError, match="is a screen, not a trial"):
        screened.trial()


def test_a_screen_travels_to_a_spawned_process(screened, service, monkeypatch, tmp_path):
    """Remote and downloaded, itself and its results: another process reads the same numbers."""
    monkeypatch.setenv("ATTNSCOPE_URL", service.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", service.key)
    remote = screened.screen()
    local = attnscope.open_screen(remote.download(tmp_path / "screen.zarr"))
    truth = local.results().tv_live.value
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for screen in (remote, local):
            assert pool.apply(attrgetter("arms", "state"), (screen,)) == (local.arms, "complete")
            there = pool.apply(attrgetter("tv_live.value"), (screen.results(),))
            assert np.array_equal(there, truth, equal_nan=True)


def test_advice_finds_the_screen_of_its_capture(screened, captured, service, monkeypatch, tmp_path):
    """Text, report and proposal rest on it with no option; a screen of another capture is not taken for it."""
    monkeypatch.setenv("ATTNSCOPE_URL", service.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", service.key)

    def said(*words: str) -> str:
        ran = CliRunner().invoke(app, [*words])
        assert ran.exit_code == 0, ran.output
        return ran.output

    text = said("recommend", str(captured.id))
    assert "SCREENED, NOT DECIDED" in text
    assert f"Screen {str(screened.id)[:8]}: 64 stored decisions" in text
    assert len(text[text.index("Compression recommendations") :].splitlines()) <= 80
    said("report", str(captured.id), "--out", str(tmp_path / "report"), "--heatmaps", "0")
    assert "SCREENED, NOT DECIDED" in (tmp_path / "report" / "compression_recommendations.txt").read_text()
    assert (tmp_path / "report" / "screen_map.png").exists()
    assert (tmp_path / "report" / "screen_guide.png").exists()
    with attnscope.connect() as client:
        other = client.submit(**CAPTURED, steps=40, maps={"count": 0}).wait()
    assert "SCREENED" not in said("recommend", str(other.id))


def test_only_the_owner_screens_a_capture(service, captured):
    """To another key the capture is as unknown as one that never was, before and at submission."""
    key = service.state.keys.create("another", ALL_SCOPES)
    with httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {key}"}) as other:
        for capture in (str(captured.id), "6f0c6f60-3f6e-4a53-9d4e-000000000000"):
            for path in ("/v1/jobs", "/v1/jobs:estimate"):
                answer = other.post(path, json={"kind": "screen", "capture": capture})
                assert answer.status_code == 404
                assert json.loads(answer.text)["detail"] == f"there is no job {capture} whose store could be read"
        assert other.get("/v1/jobs").json()["jobs"] == []


def test_what_is_no_capture_is_not_screened(service, screened):
    """A screen cannot be screened."""
    headers = {"Authorization": f"Bearer {service.key}"}
    with httpx.Client(base_url=service.url, headers=headers) as client:
        answer = client.post("/v1/jobs", json={"kind": "screen", "capture": str(screened.id)})
    assert answer.status_code == 400
    assert "is no capture" in answer.json()["detail"]
