"""The doctor prints each finding as soon as it is there, and reads no chunk where it should be quick."""

from __future__ import annotations

from typer.testing import CliRunner

from attnscope_server.cli import app
from attnscope_server.root import doctor
from attnscope_server.root.data_root import open_database
from attnscope_server.root.doctor import examine
from attnscope_storage.verify import VerificationReport


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

    def verified(reader) -> VerificationReport:
        read.append(reader)
        return VerificationReport(steps=5, chunks=7)

    monkeypatch.setattr(doctor, "verify", verified)
    monkeypatch.setattr(doctor.CaptureReader, "open", lambda _: Opened())
    (where.captures_folder / f"{job.id}.zarr").mkdir()
    for quick, words in ((True, "its chunks not read"), (False, "7 chunks verified")):
        assert read == []
        assert any(words in finding.said for finding in examine(where, quick=quick))
    assert len(read) == 1


class Opened:
    """A reader of a whole capture."""

    kind, complete, steps_committed = "capture", True, 5
