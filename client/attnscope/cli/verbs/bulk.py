"""Verbs that end jobs: one, or all of the caller's own that a label or state names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from attnscope.cli.address import connect
from attnscope.cli.app import Json, app, out, say
from attnscope.cli.completion import job_names
from attnscope.cli.parsing import job_state
from attnscope.cli.verbs.jobs import show
from attnscope.job import JobHandle
from attnscope.service import Service
from attnscope_storage.wire import JobState

Jobs = Annotated[
    list[str] | None,
    typer.Argument(help="Ids, unique prefixes of ids, or 'last'.", autocompletion=job_names, show_default=False),
]
Every = Annotated[bool, typer.Option("--all", help="All of your jobs to which it applies.")]
Label = Annotated[str | None, typer.Option(help="Your jobs with this label.")]
States = Annotated[
    list[JobState] | None,
    typer.Option("--state", parser=job_state, metavar="STATE", help="Your jobs in this state; repeat for several."),
]


@app.command()
def cancel(
    jobs: Jobs = None, every: Every = False, label: Label = None, state: States = None, as_json: Json = False
) -> None:
    """Stop jobs; what was committed stays readable."""
    with connect() as service:
        found = chosen(service, jobs, label, state, every=every, ended=False)
        for job in found:
            job.cancel()
        if as_json:
            documents = [job.info.model_dump(mode="json") for job in found]
            say(documents[0] if jobs is not None and len(jobs) == 1 else documents)
            return
        for job in found:
            show(job, as_json=False)
    if not found:
        out.print("no such job is waiting or running")


@app.command()
def delete(
    jobs: Jobs = None,
    every: Every = False,
    label: Label = None,
    state: States = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete ended jobs with what they stored; this cannot be taken back."""
    with connect() as service:
        found = chosen(service, jobs, label, state, every=every, ended=True)
        if found and not yes:
            for job in found:
                typer.echo(f"{job.id}  {job.info.kind}  {job.info.resolved.checkpoint_name}", err=True)
            typer.confirm(f"Delete {len(found)} of your jobs with what they stored?", abort=True, err=True)
        for job in found:
            job.delete()
            if not as_json:
                out.print(f"deleted {job.id}")
    if as_json:
        say({"deleted": [str(job.id) for job in found]})
    elif not found:
        out.print("no such job has ended")


def chosen(
    service: Service,
    jobs: list[str] | None,
    label: str | None,
    states: Sequence[JobState] | None,
    *,
    every: bool,
    ended: bool,
) -> list[JobHandle]:
    """Return the jobs that names, or else a label, states or ``--all``, choose.

    Parameters
    ----------
    ended
        Whether jobs that are not named must have ended, or must not.

    Raises
    ------
    BadParameter
        Nothing is chosen, or in both ways.
    """
    in_bulk = every or label is not None or bool(states)
    if bool(jobs) == in_bulk:
        raise typer.BadParameter("name jobs, or choose them with --all, --label or --state")
    if jobs:
        return list({job.id: job for job in map(service.job, jobs)}.values())
    owner = service.whoami().owner  # a key of an administrator sees the jobs of others, too
    found = service.jobs(states=states or (), label=label)
    return [job for job in found if job.summary.owner == owner and job.state.final is ended]
