"""Verbs that queue jobs and follow them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Literal

import typer
from rich.markup import escape

from attnscope.cli.address import connect
from attnscope.cli.app import JobName, Json, app, goes_on, out, say
from attnscope.cli.asking import SPELLINGS, DryRun, OnKind, Wait
from attnscope.cli.options import Asked, asks, specified
from attnscope.cli.parsing import STATES_HELP, job_state
from attnscope.cli.records import show_table
from attnscope.job import JobHandle
from attnscope.progress import describe
from attnscope_storage.wire import (
    CaptureSpec,
    DeviceKind,
    Estimate,
    JobState,
    Resolved,
)

LONGEST_DAYS = 36_500
"""Days that a capture is kept, at most, where it is dated at all."""


def show(job: JobHandle, *, as_json: bool) -> None:
    """Print one job."""
    if as_json:
        say(job.info.model_dump(mode="json"))
        return
    out.print(f"{job.id}  {escape(describe(job.info))}")
    if job.info.failure is not None:
        out.print(f"  {escape(job.info.failure.title)}: {escape(job.info.failure.detail)}")


def cells(resolved: Resolved) -> str:
    """Return what a submission was resolved to, in one line."""
    tasks = ", ".join(cell.label for cell in resolved.tasks[:12])
    more = f" and {len(resolved.tasks) - 12} more" if len(resolved.tasks) > 12 else ""  # noqa: PLR2004 - as above
    return f"{resolved.checkpoint_name} on {tasks}{more}: {resolved.size}"


def stands(positions: Iterable[str], *, stated: bool) -> str:
    """Return where kept tokens stand, in words.

    Parameters
    ----------
    positions
        Position policies that are tried.
    stated
        Whether the specification named them; else they are the policy's default.
    """
    names = list(dict.fromkeys(positions))
    why = {
        "keep": "the default of learned absolute positions in a stateless context",
        "reindex": "the default of policies without learned absolute positions, and of stateful contexts",
    }
    default = ""
    if not stated and len(names) > 1:
        default = " (the screen chooses; --positions says otherwise)"
    elif not stated and names and names[0] in why:
        default = f" ({why[names[0]]}; --positions says otherwise)"
    return f"kept tokens stand: {' or '.join(names) or 'as they are'}{default}"


def show_estimates(guesses: Sequence[Estimate], words: Callable[[Estimate], str], *, as_json: bool) -> None:
    """Print what jobs would cost, each behind its words; as JSON one document, or a list where there are several."""
    if as_json:
        documents = [guess.model_dump(mode="json") for guess in guesses]
        say(documents[0] if len(documents) == 1 else documents)
        return
    for guess in guesses:
        out.print(escape(f"{words(guess)}\n{cost(guess)}"))


def cost(guess: Estimate) -> str:
    """Return what a job would cost, in one line."""
    took = "unknown" if guess.seconds is None else f"about {guess.seconds:.0f} s"
    free = guess.disk_free_bytes
    where = "in the service's bucket" if free is None else f"on disk ({free / 1e9:.0f} GB free)"
    return (
        f"about {guess.bytes_on_disk / 1e6:.1f} MB {where}, "
        f"{guess.worker_memory_bytes / 1e6:.0f} MB of memory, time {took} ({guess.seconds_basis})"
    )


def alternatives(guess: Estimate) -> str:
    """Return the sizes of a capture whose rows have other forms, in one line."""
    sizes = [f"{other.form} {other.bytes_on_disk / 1e6:.1f} MB" for other in guess.alternatives]
    return f"with --row-form: {', '.join(sizes)}"


@app.command()
@asks(CaptureSpec, SPELLINGS)
def submit(
    asked: Asked,
    wait: Wait = False,
    dry_run: DryRun = False,
    device_kind: OnKind = None,
    as_json: Json = False,
) -> None:
    """Submit a capture."""
    spec = specified(CaptureSpec, asked)
    with connect() as service:
        if dry_run:
            guess = service.estimate(spec)
            show_estimates([guess], lambda one: cells(one.resolved), as_json=as_json)
            if guess.alternatives and not as_json:
                out.print(escape(alternatives(guess)))
            return
        job = service.submit(spec, device_kind=device_kind)
        if not as_json:
            out.print(escape(cells(job.info.resolved)))
        if wait:
            with goes_on(job):
                job.wait(progress=True)
        show(job, as_json=as_json)


@app.command("list")
def list_jobs(
    state: Annotated[
        list[JobState] | None,
        typer.Option(parser=job_state, metavar="STATE", help=f"{STATES_HELP} Repeat for several."),
    ] = None,
    label: str | None = None,
    kind: Annotated[str | None, typer.Option(help="capture or trial.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Jobs shown, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List jobs, newest first."""
    with connect() as service:
        listed = islice(service.jobs(states=state or (), kind=kind, label=label), limit)
        if as_json:
            say([job.info.model_dump(mode="json") for job in listed])
            return
        jobs = [job.summary for job in listed]
    rows = []
    for job in jobs:
        done = f"{job.progress.steps_done}/{job.progress.steps_total}"
        rows.append((str(job.id)[:8], job.kind, job.state, job.checkpoint_name or "–", done, job.label or ""))
    show_table(("job", "kind", "state", "checkpoint", "steps", "label"), rows)


@app.command()
def status(job: JobName = "last", as_json: Json = False) -> None:
    """Say how far a job is."""
    with connect() as service:
        show(service.job(job), as_json=as_json)


@app.command()
def watch(job: JobName = "last", as_json: Json = False) -> None:
    """Show a job's progress until it ends."""
    with connect() as service:
        watched = service.job(job)
        with goes_on(watched):
            watched.wait(progress=True)
        show(watched, as_json=as_json)


@app.command()
def keep(
    job: JobName,
    pin: Annotated[bool | None, typer.Option("--pin/--no-pin", help="Keep it whatever its time says.")] = None,
    days: Annotated[float | None, typer.Option(help="It may be deleted after so many days from now.")] = None,
    as_json: Json = False,
) -> None:
    """Say for how long the service keeps a capture or trial."""
    if days is not None and not 0 <= days <= LONGEST_DAYS:
        raise typer.BadParameter(f"expected 0 to {LONGEST_DAYS} days, got {days}", param_hint="--days")
    until = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with connect() as service:
        show(service.job(job).keep(until=until, pinned=pin), as_json=as_json)


@app.command()
def place(
    job: JobName,
    elsewhere: Annotated[
        bool | None,
        typer.Option(
            "--elsewhere/--no-elsewhere",
            help="It may go on on another kind of device than the one it began on, not equal to the bit.",
        ),
    ] = None,
    device_kind: Annotated[
        Literal[DeviceKind, "any"] | None, typer.Option(help="Kind of device that it waits for; any takes every one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say where a job may run from its next attempt on."""
    if elsewhere is None and device_kind is None:
        raise typer.BadParameter("say --elsewhere, --no-elsewhere or --device-kind")
    with connect() as service:
        show(service.job(job).place(elsewhere=elsewhere, device_kind=device_kind), as_json=as_json)


@app.command()
def retry(job: JobName, wait: Wait = False, as_json: Json = False) -> None:
    """Queue a job again that failed or was cancelled; it goes on from its last commit."""
    with connect() as service:
        again = service.job(job).retry()
        if wait:
            with goes_on(again):
                again.wait(progress=True)
        show(again, as_json=as_json)
