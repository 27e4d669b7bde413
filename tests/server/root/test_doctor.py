"""The doctor prints each finding as soon as it is there, and reads no chunk where it should be quick."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from attnscope_server.cli import app
from attnscope_server.root import doctor, examined_stores
from attnscope_server.root.data_root import open_database
from attnscope_server.root.doctor import examine
from attnscope_server.root.finding import good
from attnscope_server.root.paths import capture_path
from attnscope_server.root.progress import Progress
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import VerificationReport, chunks_of

GOLDEN = Path(__file__).parents[2] / "golden" / "capture-v2"


def test_doctor_prints_as_it_goes(where, monkeypatch):
    """Findings before a part that fails are printed already."""
    open_database(where).close()
    monkeypatch.setattr(doctor, "_devices", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    result = CliRunner().invoke(app, ["doctor", "--quick", "--data-root", str(where.data_root)])
    assert "GiB free" in result.output
    assert "0 jobs" in result.output


def test_quick_reads_no_chunk(where, jobs, ended, monkeypatch):
    """With --quick only documents are read; without it the chunks are, too."""
    read, job = [], ended(jobs)

    def verified(reader, _) -> VerificationReport:
        read.append(reader)
        return VerificationReport(steps=5, chunks=7)

    monkeypatch.setattr(examined_stores, "verify", verified)
    monkeypatch.setattr(examined_stores.CaptureReader, "open", lambda _: Opened())
    (where.captures_folder / f"{job.id}.zarr").mkdir()
    for quick, words in ((True, "its chunks not read"), (False, "7 chunks verified")):
        assert read == []
        assert any(words in finding.said for finding in examine(where, quick=quick))
    assert len(read) == 1


class Opened:
    """A reader of a whole capture."""

    kind, complete, steps_committed, root = "capture", True, 5, SimpleNamespace(arrays={})


@pytest.fixture
def two(where, jobs, ended):
    """Return two succeeded jobs, each with a capture on disk."""
    made = [ended(jobs) for _ in range(2)]
    for job in made:
        shutil.copytree(GOLDEN, capture_path(where.stores, str(job.id)))
    return made


def test_doctor_tells_of_every_chunk_as_it_is_read(where, two, monkeypatch):
    """The root is found before any chunk is read; then each chunk is told of before the next one is read."""
    events: list[str] = []
    real = CaptureReader.chunk_bytes
    monkeypatch.setattr(CaptureReader, "chunk_bytes", lambda reader, key: events.append("read") or real(reader, key))
    found = examine(where, tell=lambda said: events.append(f"tell {said}"))
    events.extend(f"found {finding.part}" for finding in found)
    first = events.index("read")
    assert {"found root", "found database"} <= set(events[:first])
    assert events[first - 1].endswith("chunks to read"), "a long capture is announced before its first chunk"
    assert all(after.startswith("tell") for before, after in pairwise(events) if before == "read")
    for job in two:
        part, reader = f"capture {job.id}", CaptureReader.open(capture_path(where.stores, str(job.id)))
        told = [one for one in events if one.startswith(f"tell {part}:")]
        chunks = chunks_of(reader)
        assert f"tell {part}: {chunks} of {chunks} chunks read" in told
        assert any("rows checked" in one for one in told)
        assert events.index(told[-1]) < events.index(f"found {part}")


def test_progress_breaks_silence_alone():
    """A sentence is written where nothing, also no finding, was written for a second; others are dropped."""
    clock, written = iter([0, 0.5, 1, 1, 1.5, 2, 2.5, 3, 3]), []
    progress = Progress(written.append, lambda: next(clock))
    progress("too soon")
    progress("a second without a word")
    progress("soon after it")
    written.extend(finding.part for finding in progress.beside([good("root", "is there")]))
    progress("soon after a finding")
    progress("long after it")
    assert written == ["reading  a second without a word", "root", "reading  long after it"]
