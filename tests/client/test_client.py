"""The laptop's client against a fake service: what it sends, fetches, retries and refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import attnscope
import attnscope.capture
from attnscope.cli.main import app
from attnscope.errors import (
    ERRORS,
    ConfigurationError,
    ConnectionFailedError,
    DownloadRefusedError,
    JobNameError,
    NotCapturedError,
    ServiceError,
    UnauthenticatedError,
    UnexpectedAnswerError,
    error_of,
)
from attnscope.fetching.http_store import HttpStore
from attnscope.figures.heatmap import heatmap, save
from attnscope.figures.provenance import source_of
from attnscope.report.summary import summarise
from attnscope.service import Service
from attnscope.study.quantities import uniform
from attnscope_storage.errors import NotCommittedError
from attnscope_storage.wire import ProblemCode, problem


@pytest.fixture
def service(fake):
    """Return a client of the fake service."""
    with attnscope.connect(fake.url, "right-key") as connected:
        yield connected


def test_every_wire_code_has_a_class_and_back():
    """No code is forgotten, and each class gives its code back."""
    assert set(ERRORS) == set(ProblemCode)
    for code in ProblemCode:
        raised = error_of(problem(code, "why"))
        assert type(raised).code is code
        assert str(raised) == "why"


def test_a_code_of_the_future_is_a_service_error():
    """An unknown code keeps its explanation."""
    future = problem(ProblemCode.INTERNAL, "new").model_copy(update={"type": "urn:attnscope:problem:new-one"})
    assert type(error_of(future)) is ServiceError


def test_a_large_sparse_selection_comes_in_parts_over_the_slice_route(service, fake, stored, monkeypatch):
    """One head of every step is a part of every chunk: it is asked for in slices, and no whole chunk travels."""
    monkeypatch.setattr("attnscope.fetching.lazy.VIEW_BYTES", 1024)
    capture = service.job("last").capture()
    rows = capture.rows[:, 0, 1, 1]
    asked = [path for path in fake.asked if "attention/rows" in path or "attention%2Frows" in path]
    assert len(asked) == -(-rows.nbytes // 1024)
    assert all("/slice?" in path for path in asked)
    assert np.array_equal(rows, attnscope.open(stored).rows[:, 0, 1, 1], equal_nan=True)


def test_slices_and_bulk_read_the_same(service, fake):
    """Small cuts come over the slice route, and as whole chunks they are the same numbers."""
    capture = service.job("last").capture()
    view = capture.rows[40, 1]
    assert any("/slice?" in path for path in fake.asked)
    bulk = attnscope.capture.Capture(capture._reader).rows[40, 1]
    assert np.array_equal(view, bulk, equal_nan=True)
    assert np.allclose(view[..., :30], 1 / 30, atol=1e-4)


def test_chunks_are_fetched_once(service, fake):
    """A committed chunk never changes, so the second read sends nothing."""
    capture = attnscope.capture.Capture(service.job("last").capture()._reader)
    capture.stats.entropy[:]
    before = len(fake.asked)
    capture.stats.entropy[:]
    assert len(fake.asked) == before


def test_uncommitted_steps_are_refused(service):
    """Neither an index nor a slice past the commit returns less than was asked."""
    rows = service.job("last").capture().rows
    for key in (90, slice(0, 91), (slice(80, 100), 0)):
        with pytest.raises(NotCommittedError):
            rows[key]


def test_downloads_are_whole_and_never_overwrite(service, tmp_path):
    """The downloaded capture reads offline."""
    capture = service.job("last").capture()
    offline = attnscope.open(capture.download(tmp_path / "c.zarr"))
    for name in capture.names():
        kind = capture[name].dtype.kind
        assert np.array_equal(offline[name][:], capture[name][:], equal_nan=kind == "f"), name
    with pytest.raises(DownloadRefusedError):
        capture.download(tmp_path / "c.zarr")
    data = np.load(capture.save_npz(tmp_path))
    assert data["rewards"].shape == (2, 4)


def test_what_is_not_there_says_what_is(service):
    """Arrays and maps that were not stored name those that were."""
    capture = service.job("last").capture()
    with pytest.raises(NotCapturedError, match="attention/rows"):
        capture["attention/other"]
    with pytest.raises(AttributeError):
        _ = capture.stats.nothing


def test_transitions_returns_and_boundaries(stored):
    """Identity survives the sliding window; returns count finished episodes only."""
    capture = attnscope.open(stored)
    assert capture.transition_index(89).tolist() == list(range(60, 90))
    assert capture.episode_boundaries(89).tolist() == [20]
    assert capture.transition_index(4).tolist() == [0, 1, 2, 3, 4]
    assert capture.returns().tolist() == [[7, 7, 6, 7]] * 2


def test_uniform_attention_has_no_lift(stored):
    """The summary's baseline is the uniform one over the same context: planted uniform attention has lift 1."""
    text = summarise(attnscope.open(stored))
    assert text.count("  1.00  ") == 4
    assert "train tasks unknown" in text
    assert "optimum 20.00, uniform actions 0.50" in text
    assert uniform("recency", 5, np.array([[1, 2, 100]])).tolist()[0] == [0.0, 0.5, 0.05]


def test_a_heatmap_shows_every_head_with_its_source(stored, tmp_path):
    """Panels, scale, decision row, boundaries and caption are there; the same figure gives the same bytes."""
    capture = attnscope.open(stored)
    figure = heatmap(capture, 89)
    axes, names = figure.axes[0], [f"layer {i}, head {j}" for i in (0, 1) for j in (0, 1)]
    assert [text.get_text() for text in axes.texts if text.get_gid() == "panel"] == names
    (image,) = axes.images
    assert image.get_array().shape == (61, 61)  # a row and a column of nothing between panels of 30
    lines = {line.get_gid(): np.array(line.get_data()).T for line in axes.lines}
    episodes = len(capture.episode_boundaries(89, 0))
    ends = lines["boundaries"].reshape(-1, 3, 2)[:, :2]  # a line is broken by a point that is none
    assert len(ends) == 4 * 2 * episodes > 0
    corners = [text.get_position() for text in axes.texts if text.get_gid() == "panel"]
    for (left, top), decision in zip(corners, lines["decision-row"], strict=True):
        assert decision[0] > left + 30
        assert decision[1] == pytest.approx(top + 29.5)
        inside = (ends >= (left, top)).all(axis=(1, 2)) & (ends <= (left + 30 + 1e-6, top + 30 + 1e-6)).all(axis=(1, 2))
        assert inside.sum() == 2 * episodes
    assert "mask stated by user" in source_of(capture)
    assert "train tasks unknown" in source_of(capture)
    assert "goal (5, 4)" in figure.get_suptitle()
    one, other = save(figure, tmp_path / "a.svg"), save(heatmap(capture, 89), tmp_path / "b.svg")
    assert one.read_bytes() == other.read_bytes()
    assert heatmap(capture, 4, log=True).axes
    with pytest.raises(ValueError, match="png"):
        save(figure, tmp_path / "a.exe")


def test_busy_services_are_asked_again(service, fake):
    """A PUT names its job, so it is sent again after a 503, under the same id."""
    fake.busy = 2
    service.submit(checkpoint="AD-toy")
    sent = [path for path in fake.asked if path.startswith("PUT")]
    assert len(sent) == 3
    assert len(set(sent)) == 1


def test_a_wrong_key_is_told(fake):
    """The service's reason arrives."""
    with attnscope.connect(fake.url, "wrong-key") as service, pytest.raises(UnauthenticatedError, match="no key"):
        service.job("last")


def test_redirects_carry_no_key(service):
    """A redirect is refused instead of followed."""
    with pytest.raises(UnexpectedAnswerError):
        service._transport.request("GET", "/v1/moved")


def test_a_key_does_not_travel_in_the_clear():
    """Plain HTTP beyond loopback is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match="ssh"):
        attnscope.connect("http://example.com", "right-key")


def test_nobody_there_is_said(tmp_path, monkeypatch):
    """No address anywhere, and an address where nothing listens, are told apart."""
    monkeypatch.setattr("platformdirs.user_config_path", lambda *_a, **_k: tmp_path)
    monkeypatch.delenv("ATTNSCOPE_URL", raising=False)
    with pytest.raises(ConnectionFailedError), attnscope.connect("http://127.0.0.1:9", "k") as service:
        service.whoami()


def test_a_remote_store_is_read_only(service):
    """Nothing is ever written to a service through the store."""
    store = service.job("last").capture()._reader.store
    assert store.read_only
    assert not HttpStore(service._transport, "x").supports_writes


RUN = CliRunner()


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "last"],
        ["list"],
        ["watch", "1111"],
        ["summary", "last"],
        ["submit", "--checkpoint", "AD-toy", "--tasks", "0-2,5", "--seeds", "0,1"],
    ],
)
def test_commands_speak_json(fake, monkeypatch, arguments):
    """Each command prints one JSON document on demand."""
    monkeypatch.setenv("ATTNSCOPE_URL", fake.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    result = RUN.invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    json.loads(result.stdout)
    assert RUN.invoke(app, arguments).exit_code == 0


def test_commands_write_files(fake, monkeypatch, tmp_path):
    """Fetch and heatmap leave what they say they wrote, online and offline."""
    monkeypatch.setenv("ATTNSCOPE_URL", fake.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    assert RUN.invoke(app, ["fetch", "last", "--out", str(tmp_path / "c.zarr")]).exit_code == 0
    drawn = RUN.invoke(app, ["heatmap", "--capture", str(tmp_path / "c.zarr"), "--out", str(tmp_path), "--step", "89"])
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "attention_heatmap_step89.png").stat().st_size > 5000


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit", "--checkpoint", "x", "--goal", "five"],
        ["submit", "--checkpoint", "x", "--tasks", "7-3"],
        ["heatmap", "--format", "exe"],
        ["submit"],
    ],
)
def test_wrong_usage_is_status_2(arguments):
    """A specification that cannot be understood is refused before anything is sent."""
    assert RUN.invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize("name", ["/srv/capture.zarr", "./capture.zarr", "~/capture.zarr", "there/capture.zarr"])
def test_a_path_in_the_place_of_a_job_is_told(name, tmp_path, monkeypatch):
    """Nothing is asked of the service; the sentence says where a downloaded folder goes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there" / "capture.zarr").mkdir(parents=True)
    with pytest.raises(JobNameError, match=r"capture.zarr' is a path, and a job is meant: .* behind --capture"):
        Service(None).job(name)
