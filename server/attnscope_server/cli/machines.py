"""Verbs of the operator about where jobs run and where they are written down: workers, migrate."""

from __future__ import annotations

import os
import shlex
from typing import Annotated

import typer
from pydantic import SecretStr, ValidationError

from attnscope_server.errors import DatabaseMissingError, ServiceError, SettingUnusableError
from attnscope_server.records.database import Database
from attnscope_server.records.moving import copy_rows
from attnscope_server.root.data_root import held, prepare
from attnscope_server.root.verbs import Json, Root, settings_of
from attnscope_storage.wire import Capabilities
from attnscope_storage.wire.announcing import Announcement

ANSWER_SECONDS = 10.0
"""Time in which the running service must answer."""

MOVED = ".moved"
"""Ending of the file of a job database that was moved to a server."""


def workers(data_root: Root = None, as_json: Json = False) -> None:
    """List where the running service can place jobs, and what runs there."""
    import httpx  # noqa: PLC0415 - the service itself does without, and its start would wait for it

    settings = settings_of(data_root)
    try:
        told = Announcement.model_validate_json((settings.data_root / "local.key").read_bytes())
        answer = httpx.get(
            f"{told.url}/v1/capabilities",
            headers={"Authorization": f"Bearer {told.key}"},
            timeout=ANSWER_SECONDS,
            trust_env=False,
        )
        slots = Capabilities.model_validate_json(answer.raise_for_status().content).placement_slots
    except (OSError, ValidationError, httpx.HTTPError) as error:
        raise ServiceError(f"no service answers for {settings.data_root}: {type(error).__name__}; start one") from None
    if as_json:
        typer.echo("[" + ",".join(slot.model_dump_json() for slot in slots) + "]")
        return
    rows = [("runner", "slot", "kind", "device", "hardware", "state")]
    for slot in slots:
        state = slot.busy_with or ("free" if slot.free else "away")
        rows.append((slot.runner, slot.name, slot.kind, slot.device, slot.hardware or "-", state))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def migrate(
    to: Annotated[
        str | None, typer.Option(help="Address of an empty PostgreSQL database; else ATTNSCOPE_SERVER_DATABASE_URL.")
    ] = None,
    data_root: Root = None,
) -> None:
    """Move jobs and keys from the data root's file to a PostgreSQL server; captures stay. No service may run."""
    settings = settings_of(data_root, database_url=None if to is None else SecretStr(to))
    if settings.database_url is None:
        raise SettingUnusableError("name the database with --to postgresql://user@host/database")
    prepare(settings)
    path = settings.database_path
    with held(settings.data_root):
        if not path.exists():
            raise DatabaseMissingError(f"there is no job database at {path}: nothing to move")
        source = Database.open(path, durable=settings.durable)
        try:
            target = Database.connect(settings.database_url.get_secret_value())
            try:
                with target.served(lambda _: None):
                    copied = copy_rows(source, target)
            finally:
                target.close()
        finally:
            source.close()
        aside = path.with_name(path.name + MOVED)
        os.replace(path, aside)  # noqa: PTH105 - beside it, nothing can be in the way
    typer.echo(", ".join(f"{count} {table}" for table, count in copied.items()))
    typer.echo(f"the old file is kept as {aside}")
    command = shlex.join(["attnscope-server", "serve", "--data-root", str(settings.data_root)])
    typer.echo(f"start with ATTNSCOPE_SERVER_DATABASE_URL set: `{command}`")


def register(app: typer.Typer) -> None:
    """Add the verbs to the operator's command line."""
    for verb in (workers, migrate):
        app.command()(verb)
