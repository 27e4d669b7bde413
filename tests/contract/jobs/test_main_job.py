"""The main job over a real socket: submit, poll, slice, download; and other people's readers on the same bytes."""

from __future__ import annotations

import time
from uuid import uuid4

import numpy as np
import pytest
import xarray
import zarr
from obstore.store import HTTPStore
from zarr.storage import FsspecStore, ObjectStore

import attnscope
from attnscope.connecting.transport import Transport
from attnscope.errors import (
    ConflictError,
    DownloadRefusedError,
    GoneError,
    MapNotSampledError,
    NotCapturedError,
    NotFoundError,
    RequestRefusedError,
)
from attnscope.figures.heatmap import heatmap, save
from attnscope.report.summary import summarise
from attnscope_server.root.captures import Captures
from attnscope_storage.errors import NotCommittedError
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import JobState

OPTIONS = {
    "checkpoint": "AD-darkroom",
    "tasks": {"split": "test", "indices": [0, 7]},
    "steps": 150,
    "maps": {"steps": [9, 149]},
}


@pytest.fixture(scope="module")
def job(service):
    """Return a job that has succeeded."""
    with attnscope.connect(service.url, service.key) as client:
        yield client.submit(**OPTIONS, label="finished").wait()


@pytest.fixture
def local(service, job) -> CaptureReader:
    """Return the same capture read from the service's disk."""
    return Captures(service.settings.data_root).open(job.id)


def test_a_job_succeeds_and_its_capture_verifies(job, local):
    """The capture is complete, whole, and its rows sum to one; the submission echoed the cells."""
    assert job.state is JobState.SUCCEEDED
    assert [cell.goal for cell in job.info.resolved.tasks] == [(4, 2), (5, 4)]
    assert job.info.resolved.held_out is True
    assert job.info.progress.steps_committed == 150
    report = verify(local)
    assert report.ok
    assert local.complete


@pytest.mark.parametrize(
    "key",
    [
        (slice(None),),
        (-1,),
        (149, 1),
        (slice(0, 150, 7), 0, [0, 2]),
        (slice(10, 20), slice(None), 1, 3, slice(0, 5)),
        (..., 0),
        (slice(None, None, -1), 0, 0, 0),
        ([3, 1], 0, 0, 0),
    ],
)
def test_slices_are_what_is_stored(job, local, key):
    """Whatever part is indexed over HTTP, it is bit-equal to NumPy's cut of the stored array."""
    whole = local.array("attention/rows")[:]
    expected = whole
    axis = 0
    for part in key if Ellipsis not in key else (*(slice(None),) * 4, 0):
        expected = expected[(slice(None),) * axis + (part,)]
        axis += 0 if isinstance(part, int) else 1
    assert np.array_equal(job.capture().rows[key], expected, equal_nan=True)


def test_every_array_arrives(job, local):
    """Every array of the capture reads the same over HTTP."""
    capture = job.capture()
    for name in capture.names():
        stored = local.array(name)[:]
        assert np.array_equal(capture[name][:], stored, equal_nan=stored.dtype.kind == "f"), name


def test_a_capture_downloads_and_reads_offline(job, local, tmp_path):
    """A downloaded capture is the same object; a second download does not overwrite it."""
    remote = job.capture()
    offline = attnscope.open(remote.download(tmp_path / "c.zarr"))
    assert np.array_equal(offline.rows[:], local.array("attention/rows")[:], equal_nan=True)
    assert np.array_equal(offline.map(149, 1, 2), remote.map(149, 1, 2))
    assert offline.provenance == remote.provenance
    assert verify(CaptureReader.open(tmp_path / "c.zarr")).ok
    with pytest.raises(MapNotSampledError, match="9, 149"):
        offline.map(20)
    with pytest.raises(DownloadRefusedError):
        remote.download(tmp_path / "c.zarr")


def test_maps_transitions_and_episodes(job):
    """A sampled map's last row is the decision row; slots know their transition; episodes begin every 20."""
    capture = job.capture()
    whole, row = capture.map(149, env=1), capture.rows[149, 1]
    assert np.array_equal(whole[:, :, -1], row)
    assert capture.transition_index(149).tolist() == list(range(50, 150))
    assert capture.episode_boundaries(149).tolist() == [10, 30, 50, 70, 90]
    near = np.abs(capture.map(20, env=1)[:, :, -1] - capture.rows[20, 1][..., :21])
    assert (near <= 2e-5 + 2.0**-11 * capture.rows[20, 1][..., :21]).all()
    assert capture.leave_one_out(20, env=1).shape == (20,)
    with pytest.raises(NotCommittedError):
        capture.rows[150]
    with pytest.raises(NotCommittedError):
        capture.rows[0:151]


def test_the_first_picture_and_summary(job, tmp_path):
    """A heatmap has a panel a layer and head; the summary tells the stored returns."""
    capture = job.capture()
    figure = heatmap(capture, 149, env=1)
    titles = [text.get_text() for text in figure.axes[0].texts if text.get_gid() == "panel"]
    assert titles == [f"layer {layer}, head {head}" for layer in range(3) for head in range(4)]
    (image,) = figure.axes[0].images
    n = capture.length(149, env=1)
    assert image.get_array().shape == (3 * (n + 1) - 1, 4 * (n + 1) - 1)
    for kind in ("png", "svg", "pdf"):
        assert save(figure, tmp_path / f"h.{kind}").stat().st_size > 5000
    text = summarise(capture)
    assert f"{capture.returns()[:, 0].mean():6.2f}" in text
    assert "mask stated by user" in text
    assert capture.to_xarray()["attention/rows"].shape == capture.rows.shape


def test_submitting_again_changes_nothing(client, job):
    """The same id and specification is the same job; another specification is a conflict."""
    again = client.submit(job.info.spec, job_id=job.id)
    assert again.id == job.id
    assert again.state is JobState.SUCCEEDED
    with pytest.raises(ConflictError):
        client.submit(job.info.spec.model_copy(update={"steps": 10}), job_id=job.id)


def test_jobs_are_listed_filtered_and_named(client, job):
    """Pages, filters, prefixes and `last` find jobs; what is none says so."""
    assert job.id in [found.id for found in client.jobs(states=[JobState.SUCCEEDED], label="finished")]
    assert list(client.jobs(label="nothing")) == []
    assert client.job(str(job.id)[:8]).id == job.id
    assert client.job("last").id
    with pytest.raises(LookupError):
        client.job("zz")
    with pytest.raises(NotFoundError):
        client.job(uuid4())


def test_an_estimate_queues_nothing(client, job):
    """An estimate has the size of the capture, a time from the last job, and leaves no job."""
    assert job.state.final
    before = len(list(client.jobs()))
    guess = client.estimate(**OPTIONS)
    assert guess.bytes_raw > 1_000_000
    assert guess.seconds > 0
    assert len(list(client.jobs())) == before


def test_what_was_not_captured_is_told(client):
    """Without rows and maps, asking for them names what there is."""
    job = client.submit(checkpoint="AD-darkroom", steps=20, rows={"enabled": False}, maps={"count": 0}).wait()
    with pytest.raises(NotCapturedError, match="stats/entropy"):
        _ = job.capture().rows
    assert job.capture().stats.entropy[:].shape == (20, 8, 3, 4)


def test_a_deleted_job_is_gone(client, service):
    """Its capture leaves the disk, its id stays reserved."""
    job = client.submit(checkpoint="AD-darkroom", steps=5, tasks={"goals": [(5, 4)]}).wait()
    path = Captures(service.settings.data_root).path(job.id)
    assert path.exists()
    capture = job.capture()
    bulk = capture.to_xarray()
    job.delete()
    assert not path.exists()
    for read in (
        lambda: capture.download(path.with_name("late.zarr")),
        lambda: capture["stats/entropy"][:],
        bulk["stats"]["entropy"][:].to_numpy,
    ):
        with pytest.raises(GoneError):  # neither a damaged chunk nor fill values
            read()
    with pytest.raises(GoneError):
        client.job(job.id)
    with pytest.raises(GoneError):
        client.submit(job.info.spec, job_id=job.id)


def test_cancelling_stops_the_work(client, service):
    """A running job stops; its store is readable up to the last commit and grows no more."""
    job = client.submit(checkpoint="AD-darkroom", steps=1_000_000, maps={"count": 0})
    deadline = time.monotonic() + 60
    while job.refresh().info.progress.steps_committed == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    job.cancel()
    while not job.refresh(wait=2.0).state.final:
        assert time.monotonic() < deadline
    assert job.state is JobState.CANCELLED
    reader = Captures(service.settings.data_root).open(job.id)
    assert not reader.complete
    assert reader.steps_committed > 0
    assert verify(reader).ok
    assert client.submit(checkpoint="AD-darkroom", steps=5).wait().state is JobState.SUCCEEDED


def stores(service, job):
    """Return stock zarr stores on a capture, with an Authorization header."""
    url = f"{service.url}/v1/captures/{job.id}/zarr"
    header = {"Authorization": f"Bearer {service.key}"}
    yield (
        "obstore",
        ObjectStore(HTTPStore(url, client_options={"default_headers": header, "allow_http": True}), read_only=True),
    )
    yield "fsspec", FsspecStore.from_url(url, storage_options={"client_kwargs": {"headers": header}}, read_only=True)


def test_stock_zarr_and_xarray_read_a_finished_capture(service, job, local):
    """Zarr over obstore and over fsspec, and xarray, read the same numbers with nothing of ours."""
    expected = local.array("stats/entropy")[:]
    for name, store in stores(service, job):
        group = zarr.open_group(store, mode="r")
        assert np.array_equal(group["stats/entropy"][:], expected), name
        tree = xarray.open_datatree(store, engine="zarr", mask_and_scale=False)
        assert tree["attention/rows"].dims == ("step", "row_env", "layer", "head", "slot"), name


def test_stock_zarr_reads_a_running_capture_without_holes(service, client):
    """While the job runs, what the root document commits is all there."""
    job = client.submit(checkpoint="AD-darkroom", steps=1_000_000, tasks={"goals": [(5, 4)]}, maps={"count": 0})
    deadline = time.monotonic() + 60
    while job.refresh().info.progress.steps_committed == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for name, store in stores(service, job):
        group = zarr.open_group(store, mode="r")
        entropy = group["stats/entropy"][:]
        assert len(entropy) > 0, name
        assert np.isfinite(entropy).all(), name
        assert xarray.open_datatree(store, engine="zarr", mask_and_scale=False)["rollout/action"].ndim == 2
    job.cancel()
    while not job.refresh(wait=2.0).state.final:
        assert time.monotonic() < deadline


def test_bad_submissions_name_the_field(client):
    """A wrong field is named before anything is queued."""
    for options, words in (
        ({"checkpoint": "nobody"}, "nobody"),
        ({"checkpoint": "AD-darkroom", "steps": 0}, "steps"),
        ({"checkpoint": "AD-darkroom", "steps": 5, "episodes": 5}, "episodes or by steps"),
        ({"checkpoint": "AD-darkroom", "wings": 2}, "wings"),
        ({"checkpoint": "AD-darkroom", "rows": {"heads": [9]}}, "heads"),
    ):
        with pytest.raises(RequestRefusedError, match=words):
            client.submit(**options)


def test_a_view_moves_kilobytes(job, monkeypatch):
    """One step of one environment costs its own bytes and a small header, not a chunk."""
    rows, moved = job.capture().rows, []
    request = Transport.request

    def counted(self, *args, **kwargs):
        answer = request(self, *args, **kwargs)
        moved.append(len(answer.body))
        return answer

    monkeypatch.setattr(Transport, "request", counted)
    assert sum(moved) == 0
    values = rows[100, 1]
    assert values.nbytes < sum(moved) < values.nbytes + 1000
