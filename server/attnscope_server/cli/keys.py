"""Verbs of the operator about API keys: create, list, revoke."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attnscope_server.records.keys import EVERYDAY_SCOPES, KeyInfo, KeyStore, Scope
from attnscope_server.root.data_root import opened, prepare
from attnscope_server.root.verbs import Root, settings_of
from attnscope_storage.usage import WordedGroup

verbs = typer.Typer(cls=WordedGroup, help="API keys.", no_args_is_help=True)


class DeviceKind(StrEnum):
    """Kinds of device as torch names them."""

    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"
    XPU = "xpu"
    HPU = "hpu"


LONGEST_DAYS = 36_500
"""Days that a key may be valid, at most, where it expires at all."""


@contextmanager
def key_store(data_root: Path | None) -> Iterator[KeyStore]:
    """Open the keys under the data root."""
    settings = settings_of(data_root)
    prepare(settings)
    with opened(settings) as database:
        yield KeyStore(database)


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
    if Scope.WORKER in (scope or ()):
        raise typer.BadParameter("a worker's key is made by `key worker`", param_hint="--scope")
    with key_store(data_root) as store:
        typer.echo(store.create(owner, scope or EVERYDAY_SCOPES, label=label, expires_at=expiry(days)))


@verbs.command("worker")
def create_worker_key(
    serves: Annotated[list[str] | None, typer.Option(help="Owner whose jobs it may run; repeat for several.")] = None,
    every_owner: Annotated[bool, typer.Option("--every-owner", help="It may run everybody's jobs.")] = False,
    device_kind: Annotated[
        list[DeviceKind] | None, typer.Option(help="Kind of device that it may offer; repeat; any where none is named.")
    ] = None,
    days: Annotated[float | None, typer.Option(help="Expires after so many days.")] = None,
    label: str | None = None,
    data_root: Root = None,
) -> None:
    """Make a key with which workers on other machines run jobs, and do nothing else; it is shown once."""
    if bool(serves) == every_owner:
        raise typer.BadParameter("name the owners, or say --every-owner", param_hint="--serves")
    expires = expiry(days)
    with key_store(data_root) as store:
        made = store.create_worker(serves=serves or (), device_kinds=device_kind or (), label=label, expires_at=expires)
    typer.echo(made)


def expiry(days: float | None) -> datetime | None:
    """Return when a key ends that is valid for so many days; None where it does not."""
    if days is None:
        return None
    if not 0 < days <= LONGEST_DAYS:
        raise typer.BadParameter(
            f"expected more than 0 and at most {LONGEST_DAYS} days, got {days}", param_hint="--days"
        )
    return datetime.now(UTC) + timedelta(days=days)


@verbs.command("list")
def list_keys(data_root: Root = None) -> None:
    """List the keys, without their secrets."""
    with key_store(data_root) as store:
        keys = store.list()
    for key in keys:
        state = "revoked" if key.revoked_at else f"expires {key.expires_at:%Y-%m-%d}" if key.expires_at else "valid"
        bounds = "".join(f"  {name} {','.join(given)}" for name, given in _bounds(key) if given)
        typer.echo(f"{key.id}  {key.owner}  {','.join(key.scopes)}{bounds}  {state}  {key.label or ''}")


def _bounds(key: KeyInfo) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the owners and the kinds of device that a worker's key is bound to."""
    return (("serves", key.serves), ("devices", key.device_kinds))


@verbs.command("revoke")
def revoke_key(key_id: str, data_root: Root = None) -> None:
    """End a key at once."""
    with key_store(data_root) as store:
        store.revoke(key_id)
    typer.echo(f"revoked {key_id}")
