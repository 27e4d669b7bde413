"""Verbs of the operator about a data root: verify, doctor, backup, restore."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError

from attnscope_server.root.backup import back_up
from attnscope_server.root.data_root import MANIFEST
from attnscope_server.root.doctor import examine
from attnscope_server.root.finding import Finding
from attnscope_server.root.paths import capture_path
from attnscope_server.root.progress import Progress
from attnscope_server.root.rebuild import rebuild_database
from attnscope_server.root.restoring import restore as restore_backup
from attnscope_server.root.restoring import verify_backup
from attnscope_server.settings import Settings
from attnscope_storage.layout.places import STORES, stores_in
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify as verify_capture
from attnscope_storage.wire.wording import sentence

Root = Annotated[Path | None, typer.Option("--data-root", help="Folder of captures, checkpoints, keys and jobs.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

REPEATED: Final = frozenset({"devices", "allowed_hosts"})
"""Settings of several values, each of which an option in the singular names."""


def settings_of(data_root: Path | None, **changes: Any) -> Settings:  # noqa: ANN401 - settings fields
    """Return the settings; what is named on the command line goes before the environment."""
    named = {name: value for name, value in {"data_root": data_root, **changes}.items() if value is not None}
    try:
        return Settings(**named)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise typer.BadParameter(sentence(first), param_hint=_source_of(first["loc"], named)) from None


def _source_of(place: tuple[int | str, ...], named: dict[str, Any]) -> str:
    """Return the option, else the variable, that a setting comes from; what lies inside of it stands behind."""
    first, *inside = map(str, place or ("settings",))
    option = f"--{first.removesuffix('s') if first in REPEATED else first}".replace("_", "-")
    return ".".join([option if first in named else f"ATTNSCOPE_SERVER_{first.upper()}", *inside])


def say(findings: Iterable[Finding], *, as_json: bool) -> None:
    """Print each finding as soon as it is there; end with status 1 where one is a problem."""
    seen = []
    for finding in findings:
        seen.append(finding)
        if not as_json:
            typer.echo(str(finding))
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(finding) for finding in seen], indent=1))
    raise typer.Exit(0 if all(finding.ok for finding in seen) else 1)


def verify(
    what: Annotated[str, typer.Argument(metavar="JOB|BACKUP", help="A job's id, or the folder of a backup.")],
    data_root: Root = None,
    as_json: Json = False,
) -> None:
    """Re-read a capture, or all of a backup: nothing missing, every row sums to one."""
    if (Path(what) / MANIFEST).exists():
        say(verify_backup(Path(what)), as_json=as_json)
    path = capture_path(settings_of(data_root).stores, what)
    report = verify_capture(CaptureReader.open(path))
    typer.echo(json.dumps(dataclasses.asdict(report), indent=1) if as_json else f"{report}")
    raise typer.Exit(0 if report.ok else 1)


def doctor(
    data_root: Root = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Look whether captures and checkpoints are there, but do not re-read them.")
    ] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Enter captures anew where the database is gone.")] = False,
    old: Annotated[
        Path | None, typer.Option("--from", help="With --rebuild: an old job database that tells the jobs' states.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --rebuild: do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Check root, job database, captures, checkpoints and devices, and say what to do; changes nothing by itself."""
    settings = settings_of(data_root)
    if rebuild:
        enter_anew(settings, old, yes=yes)
    progress = Progress(partial(typer.echo, err=True))
    say(progress.beside(examine(settings, quick=quick, tell=progress)), as_json=as_json)


def enter_anew(settings: Settings, old: Path | None, *, yes: bool) -> None:
    """Make the job database anew from the captures, after asking."""
    found = sum(1 for _ in stores_in(settings.stores / STORES))
    otherwise = "become cancelled" if old is None else f"get the state that {old} tells"
    question = f"enter {found} captures of {settings.data_root} into a new job database? Incomplete ones {otherwise}"
    if not yes:
        typer.confirm(question, abort=True)
    entered = rebuild_database(settings, old)
    states = ", ".join(f"{count} {state.value}" for state, count in sorted(entered.items())) or "none"
    typer.echo(f"{entered.total()} captures entered anew ({states}); make API keys anew with `key create`")
    typer.echo("a cancelled job goes on with `attnscope retry JOB`")


def backup(
    folder: Annotated[Path, typer.Argument(help="Folder of the backup, new or empty, outside the data root.")],
    data_root: Root = None,
) -> None:
    """Copy database, captures and checkpoints, while the service may run; the folder appears when all is there."""
    manifest = back_up(settings_of(data_root), folder, typer.echo)
    for job, reason in manifest.left_out.items():
        typer.echo(f"PROBLEM  capture {job} is left out: {reason}", err=True)
    typer.echo(f"{folder}: {manifest.jobs} jobs, {len(manifest.captures)} captures or trials")
    typer.echo("API keys are in it as hashes only: keys that their owners hold go on working after a restore")
    raise typer.Exit(1 if manifest.left_out else 0)


def restore(
    folder: Annotated[Path, typer.Argument(help="Folder of a backup.")],
    data_root: Annotated[Path, typer.Option("--data-root", help="The data root to make, new or empty.")],
) -> None:
    """Make a data root from a backup; it appears when all is there."""
    manifest = restore_backup(folder, data_root, typer.echo)
    typer.echo(f"{data_root}: {manifest.jobs} jobs, as of {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC")
    command = shlex.join(["attnscope-server", "serve", "--data-root", str(data_root)])
    typer.echo(f"start it with `{command}`: jobs that ran go on from a commit")


def register(app: typer.Typer) -> None:
    """Add the verbs to the operator's command line."""
    for verb in (verify, doctor, backup, restore):
        app.command()(verb)
