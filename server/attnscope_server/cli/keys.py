"""Verbs of the operator about API keys: create, list, revoke."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from attnscope_server.records.keys import EVERYDAY_SCOPES, KeyStore, Scope
from attnscope_server.root.data_root import open_database, prepare
from attnscope_server.root.verbs import Root, settings_of
from attnscope_storage.usage import WordedGroup

verbs = typer.Typer(cls=WordedGroup, help="API keys.", no_args_is_help=True)

LONGEST_DAYS = 36_500
"""Days that a key may be valid, at most, where it expires at all."""


def key_store(data_root: Path | None) -> KeyStore:
    """Return the keys under the data root."""
    settings = settings_of(data_root)
    prepare(settings)
    return KeyStore(open_database(settings))


@verbs.command("create")
def create_key(
    owner: Annotated[str, typer.Option(help="Whose jobs it sees.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="Repeat for several; all but admin where none is named.")
    ] = None,
    days: Annotated[float | None, typer.Option(help="Expires after so many days.")] = None,
    label: str | None = None,
    data_root: Root = None,
) -> None:
    """Make a key; it is shown once."""
    if days is not None and not 0 < days <= LONGEST_DAYS:
        raise typer.BadParameter(
            f"expected more than 0 and at most {LONGEST_DAYS} days, got {days}", param_hint="--days"
        )
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    typer.echo(key_store(data_root).create(owner, scope or EVERYDAY_SCOPES, label=label, expires_at=expires))


@verbs.command("list")
def list_keys(data_root: Root = None) -> None:
    """List the keys, without their secrets."""
    for key in key_store(data_root).list():
        state = "revoked" if key.revoked_at else f"expires {key.expires_at:%Y-%m-%d}" if key.expires_at else "valid"
        typer.echo(f"{key.id}  {key.owner}  {','.join(key.scopes)}  {state}  {key.label or ''}")


@verbs.command("revoke")
def revoke_key(key_id: str, data_root: Root = None) -> None:
    """End a key at once."""
    key_store(data_root).revoke(key_id)
    typer.echo(f"revoked {key_id}")
