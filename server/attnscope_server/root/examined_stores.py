"""The faults of the stores of a data root or bucket: of every capture, trial, screen and decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

from attnscope_server.root.children import owner_of
from attnscope_server.root.finding import Finding, bad, good
from attnscope_server.root.paths import capture_path
from attnscope_server.settings import Settings
from attnscope_storage.errors import AttnscopeError, CaptureNotFoundError
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.layout.places import STORES, stores_in
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import VerificationReport, chunks_of, verify
from attnscope_storage.wire import JobState, contracts

Tell = Callable[[str], None]
"""Takes a sentence about what is being read."""


def store_findings(settings: Settings, jobs: dict[str, str] | None, tell: Tell, *, quick: bool) -> Iterator[Finding]:
    """Yield what is found in each store, and the stores that are missing.

    Parameters
    ----------
    jobs
        State of each job that is not deleted, by its id; None where the database cannot tell.
    """
    for path in stores_in(settings.stores / STORES):
        job = path.name.removesuffix(".zarr")
        if path.is_symlink():
            yield bad(f"capture {job}", "its folder is a symbolic link", "replace it by the folder itself")
            continue
        if jobs is not None and job not in jobs and _owner(path) in jobs:
            yield _capture(settings, job, None, tell, quick=quick)
            continue
        if jobs is not None and job not in jobs:
            remedy = f"nobody can read it: remove {path}, or restore the database that knew it"
            yield bad(f"capture {job}", "no job has this capture", remedy)
            continue
        yield _capture(settings, job, None if jobs is None else jobs[job], tell, quick=quick)
    if jobs is not None:
        for job, state in jobs.items():
            if state == JobState.SUCCEEDED and not capture_path(settings.stores, job).exists():
                yield bad(f"capture {job}", "its job succeeded, and it is missing", "restore it, or delete the job")
    for path in sorted(settings.captures_folder.glob(".deleted-*")):
        yield good("captures", f"{path.name} is being deleted", "the next start of the service ends that")


def _owner(path: StorePath) -> str | None:
    """Return the job that owns a store which has no job of its own."""
    try:
        owner = owner_of(CaptureReader.open(path), UUID(path.stem))
    except (AttnscopeError, ValueError):
        return None
    return None if owner is None else str(owner.store)


def _capture(settings: Settings, job: str, state: str | None, tell: Tell, *, quick: bool) -> Finding:
    part = f"capture {job}"
    try:
        reader = CaptureReader.open(capture_path(settings.stores, job))
        report = VerificationReport(steps=reader.steps_committed) if quick else _read(reader, part, tell)
    except CaptureNotFoundError:
        return good(part, "nothing is committed yet")
    except AttnscopeError as error:
        return bad(part, error.message, "restore it from a backup, or delete the job and submit it again")
    if not report.ok:
        text = f"{report.wrong} problems: {'; '.join(report.problems[:3])}"
        return bad(part, text, "restore it from a backup, or delete the job and submit it again")
    if state == JobState.SUCCEEDED and not reader.complete:
        return bad(part, "its job succeeded, and it is not complete", "delete the job and submit it again")
    return good(part, _described(reader, None if quick else report))


def _read(reader: CaptureReader, part: str, tell: Tell) -> VerificationReport:
    """Verify a store, and tell after every chunk and every block of rows how far that is."""
    chunks = chunks_of(reader)
    tell(f"{part}: {chunks} chunks to read")

    def advanced(report: VerificationReport) -> None:
        checked = f", {report.rows} rows checked" if report.rows else ""
        tell(f"{part}: {report.chunks} of {chunks} chunks read{checked}")

    return verify(reader, advanced)


def _described(reader: CaptureReader, report: VerificationReport | None) -> str:
    """Return what is said of a capture or trial that is as it should be; without a report, only its root was read."""
    known = contracts().get(reader.kind)
    if report is None:
        return f"a {reader.kind}: {reader.steps_committed} committed, its chunks not read"
    if known is None:
        return f"a {reader.kind}, which this attnscope does not know: {report.chunks} chunks decode"
    rows = f", {report.rows} rows" if report.rows else ""
    return f"a {known.name}: {report.steps} {known.words.entries}, {report.chunks} chunks{rows} verified"
