"""Verbs that show the live page: of a job or a folder, and of a checkpoint on this machine."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from attnscope.cli.address import connect
from attnscope.cli.app import app, tell
from attnscope.cli.parsing import integers
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.wire import CaptureSpec, TaskChoice

if TYPE_CHECKING:
    from attnscope.job import JobHandle
    from attnscope.page.running import Link
    from attnscope.page.server import PageServer
    from attnscope.page.subjects import Subject
    from attnscope.service import Service

NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Print the link, and start no browser.")]
Port = Annotated[int, typer.Option(help="Port on loopback, say for ssh -L; 0 takes a free one.", min=0, max=65535)]


@app.command("open")
def open_page(
    what: Annotated[
        str, typer.Argument(help="Id of a job, a prefix of it, 'last', a downloaded folder, or a report's.")
    ] = "last",
    no_browser: NoBrowser = False,
    port: Port = 0,
) -> None:
    """Show a capture in the browser, also of a running job; Ctrl-C ends the page."""
    from attnscope.page.opening import running_already, served  # noqa: PLC0415 - loads zarr
    from attnscope.page.subjects import Subject  # noqa: PLC0415 - loads zarr

    folder = Path(what)
    page = report_in(folder)
    if page is not None:
        _lead_to_file(page, no_browser=no_browser)
        return
    with _closed_with_the_terminal():
        if folder.is_dir():
            first, where, subject = Subject.of_folder(folder), None, str(folder.resolve())
            link = running_already(where, subject, port)
            if link is None:
                with served(where, lambda name: Subject.of_folder(Path(name)), port) as server:
                    _show_until_stopped(server, first, no_browser=no_browser)
                return
        else:
            if folder.is_absolute() or folder.suffix in {".zarr", ".html"}:  # no id of a job looks so
                raise typer.BadParameter(f"there is nothing at {what}", param_hint="WHAT")
            with connect() as service:
                job, where = service.job(what), service.address
                link = running_already(where, str(job.id), port)
                if link is None:
                    first = _of_job(service, str(job.id))
                    with served(where, partial(_of_job, service), port, list_jobs=service.jobs) as server:
                        _show_until_stopped(server, first, no_browser=no_browser)
                    return
    tell("a page runs already, and shows it until its own terminal is closed")
    _lead(link, no_browser=no_browser)


@app.command()
def look(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint's file, a run's folder, or a shipped name.")],
    causal: Annotated[
        bool | None, typer.Option("--causal/--non-causal", help="The mask, where no file says it.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Environment that it was trained in, where no file says it.")
    ] = None,
    tasks: Annotated[str, typer.Option(help="Held-out tasks, by place: 0 or 0-3.")] = "0-1",
    episodes: Annotated[int, typer.Option(help="Episodes of each rollout.", min=1)] = 12,
    kept: Annotated[
        Path | None, typer.Option("--out", help="New folder that keeps the capture; without it, it is deleted.")
    ] = None,
    no_browser: NoBrowser = False,
    port: Port = 0,
) -> None:
    """Start a service for a checkpoint on this machine, capture a little and show the page. Needs the server extra."""
    from attnscope.page.looking import NAME, captured, commands_for  # noqa: PLC0415 - loads zarr
    from attnscope.page.opening import served  # noqa: PLC0415 - loads zarr

    chosen = TaskChoice(indices=integers(tasks, "--tasks"))
    spec = CaptureSpec(checkpoint=NAME, tasks=chosen, episodes=episodes, label="look")
    mask = [] if causal is None else ["--causal" if causal else "--non-causal"]
    options = [*mask, *([] if preset is None else ["--preset", preset])]
    commands = commands_for(Path(checkpoint), options) if Path(checkpoint).exists() else None
    if kept is not None and kept.exists():
        raise typer.BadParameter(f"there is something at {kept} already", param_hint="--out")
    tell("starts a service on this machine")
    sys.stdout.flush()
    with (
        _closed_with_the_terminal(),
        tempfile.TemporaryDirectory(prefix="attnscope-look-") as root,
        captured(checkpoint, spec, Path(root), options) as (service, job),
        served(service.address, partial(_of_job, service, commands=commands), port, list_jobs=service.jobs) as server,
    ):
        fate = "deleted" if kept is None else f"kept in {kept}"
        tell(f"captures {job.info.resolved.size}; what is captured is {fate} when the page ends")
        _show_until_stopped(server, _of_job(service, str(job.id), commands), no_browser=no_browser)
        if kept is not None:
            _keep(job, kept)


def _keep(job: JobHandle, folder: Path) -> None:
    """Download what a job has committed."""
    try:
        job.capture().download(folder)
    except CaptureNotFoundError:
        tell("nothing was committed, so nothing is kept")
        return
    tell(f"kept in {folder}; show it again with: attnscope open {shlex.quote(str(folder))}")


def _of_job(service: Service, name: str, commands: list[tuple[str, str]] | None = None) -> Subject:
    """Return a job of a service as the page shows it, with the commands that lead to an answer where they are given."""
    from attnscope.page.opened import subject_of  # noqa: PLC0415 - loads zarr

    found = subject_of(service, name)
    if commands is not None:
        found.answers.commands = lambda _: commands
    return found


REPORTS: Final = ("report.html", "trial_report.html", "decision_card.html")
"""Pages that a report's folder may hold, the first one first."""


def report_in(path: Path) -> Path | None:
    """Return the page of a report's folder, or the page itself; None where there is none."""
    if path.is_file() and path.suffix == ".html":
        return path
    return next((path / name for name in REPORTS if (path / name).is_file()), None)


def _lead_to_file(page: Path, *, no_browser: bool) -> None:
    """Lead the user's browser to an offline page, or say where it is."""
    if no_browser or not _has_display() or not webbrowser.open(page.resolve().as_uri()):
        tell(f"open this file in a browser; it needs no network: {page.resolve()}")


def _show_until_stopped(server: PageServer, subject: Subject, *, no_browser: bool) -> None:
    """Lead the user to a subject, and serve it until Ctrl-C."""
    _lead(server.show(subject), no_browser=no_browser)
    tell("Ctrl-C ends the page")
    sys.stdout.flush()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        sys.stderr.write("\nthe page has ended\n")


@contextmanager
def _closed_with_the_terminal() -> Iterator[None]:
    """End as after Ctrl-C, where the terminal is closed or the program is told to stop."""
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), _stop) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _lead(link: Link, *, no_browser: bool) -> None:
    """Lead the user's browser to a link; where there is none, print it."""
    if not no_browser and _has_display() and webbrowser.open(link.file.as_uri()):
        tell("the page opens in your browser; if it does not, --no-browser prints a link")
    else:
        tell(f"open this link within a minute; it works once: {link.address}")


def _has_display() -> bool:
    """Return whether a graphical browser can be shown: a text browser would take the terminal, and Ctrl-C with it."""
    return sys.platform in {"darwin", "win32"} or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
