"""The operator's command line: ``attnscope-server``."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from attnscope_model.checkpoints.registry import CheckpointRegistry, inspect
from attnscope_model.parsing.choosing import Choice
from attnscope_server import logs, serving
from attnscope_server.records.database import UNANSWERED
from attnscope_server.records.job_store import JobStore
from attnscope_server.records.keys import EVERYDAY_SCOPES, KeyStore, Scope
from attnscope_server.root import verbs as root_verbs
from attnscope_server.root.data_root import open_database, prepare
from attnscope_server.root.verbs import Root, settings_of
from attnscope_server.training import verbs
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.terminal import take_any_terminal
from attnscope_storage.usage import WRONG_USAGE, UsageError, WordedGroup, said_of
from attnscope_storage.wire import JobState

LONGEST_DAYS = 36_500
"""Days that a key may be valid, at most, where it expires at all."""

app = typer.Typer(
    cls=WordedGroup,
    help="The attnscope service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # markup would take [ppo] for a style
)
checkpoints = typer.Typer(cls=WordedGroup, help="Registered checkpoints.", no_args_is_help=True)
keys = typer.Typer(cls=WordedGroup, help="API keys.", no_args_is_help=True)
app.add_typer(checkpoints, name="checkpoint")
app.add_typer(keys, name="key")
root_verbs.register(app)
verbs.register(app)

Norm = Literal["pre", "post"]
Sampling = Literal["sample", "greedy"]
Key = Annotated[str | None, typer.Option("--key", help="State dict to read where several fit: ema, or . for the top.")]
Prefix = Annotated[str | None, typer.Option("--prefix", help="What the names of its weights begin with: actor.")]
Ignore = Annotated[
    list[str] | None,
    typer.Option("--ignore", help="Weights that no decision uses, by pattern: 'value_head.*'; repeat for several."),
]


@app.command()
def serve(
    data_root: Root = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.")] = None,
    behind_proxy: Annotated[bool | None, typer.Option("--behind-proxy", help="A proxy in front ends TLS.")] = None,
    allowed_host: Annotated[list[str] | None, typer.Option(help="A host that requests may name; repeat.")] = None,
    announce: Annotated[bool | None, typer.Option(help="Let the local client find url and key.")] = None,
    threads: Annotated[int | None, typer.Option(help="Torch threads of a worker.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="A device; repeat for several. Default auto.")] = None,
    environments: Annotated[Path | None, typer.Option(help="JSON file of further listed environments.")] = None,
) -> None:
    """Run the service until it is told to stop."""
    devices = tuple(device) if device else None
    settings = settings_of(
        data_root,
        host=host,
        port=port,
        behind_proxy=behind_proxy,
        announce=announce,
        threads=threads,
        devices=devices,
        environments=None if environments is None else listed_in(environments),
        allowed_hosts=tuple(allowed_host) if allowed_host else None,
    )
    logs.configure(settings.log_format, settings.log_level)
    serving.run(settings)


def listed_in(path: Path) -> Any:  # noqa: ANN401 - checked by the settings
    """Return what a file lists of environments."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise typer.BadParameter(f"{path}: expected a JSON file: {reason}", param_hint="--environments") from error


def registry_of(data_root: Path | None) -> CheckpointRegistry:
    """Return the registry under the data root."""
    settings = settings_of(data_root)
    prepare(settings)
    return CheckpointRegistry(settings.checkpoints_folder)


@checkpoints.command("add")
def add_checkpoint(
    source: Annotated[
        Path | None, typer.Argument(help="A torch, safetensors or pickle file, or a folder: its newest or only one.")
    ] = None,
    causal: Annotated[
        bool | None, typer.Option("--causal/--non-causal", help="The mask, where no file says it.")
    ] = None,
    heads: Annotated[int | None, typer.Option(help="Heads of a layer, where no file says it.")] = None,
    context_length: Annotated[int | None, typer.Option(help="Tokens of a full context, query included.")] = None,
    norm: Annotated[Norm | None, typer.Option(help="Norms before or after attention.")] = None,
    preset: Annotated[str | None, typer.Option(help="Environment that it was trained in.")] = None,
    sampling: Annotated[Sampling | None, typer.Option(help="How it acts where a capture does not choose.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="JSON or YAML beside a bare state dict; FILE.yaml is found.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Instead of one like AD-darkroom-seed0@60000.")] = None,
    train_tasks: Annotated[str | None, typer.Option(help="Task indices it was trained on: 0,1,2.")] = None,
    key: Key = None,
    prefix: Prefix = None,
    ignore: Ignore = None,
    shipped: Annotated[bool, typer.Option("--shipped", help="Add those that travel with attnscope.")] = False,
    data_root: Root = None,
) -> None:
    """Copy and convert a checkpoint; a running service sees it at once."""
    registry = registry_of(data_root)
    before = {info.id: info.name for info in registry.list()}
    if shipped:
        added = registry.add_shipped()
    elif source is None:
        raise typer.BadParameter("name a file or a run folder, or say --shipped")
    else:
        tasks = None if train_tasks is None else task_indices(train_tasks)
        added = [
            registry.add(
                source,
                causal=causal,
                heads=heads,
                context_length=context_length,
                norm=norm,
                preset=preset,
                sampling=sampling,
                config=config,
                name=name,
                train_tasks=tasks,
                choice=choice_of(key, prefix, ignore),
            )
        ]
    for info in added:
        mask = "causal" if info.policy.causal else "non-causal"
        typer.echo(f"{info.name}  {info.id[:12]}  {mask} (mask stated by {info.causal_stated_by})")
        if (earlier := before.get(info.id, info.name)) != info.name:
            typer.echo(f"  renamed from {earlier}, which goes on naming it")
        typer.echo(f"  acts in {info.preset}, {info.sampling} where a capture does not choose")
        if info.stated:
            typer.echo("  stated by user: " + ", ".join(f"{name} {answer}" for name, answer in info.stated.items()))
        for note in info.notes:
            typer.echo(f"  note: {note}")


def choice_of(key: str | None, prefix: str | None, ignore: list[str] | None) -> Choice | None:
    """Return where in a file the policy is said to stand; None where nothing is said."""
    return None if key is None and prefix is None and not ignore else Choice(key, prefix, tuple(ignore or ()))


def task_indices(said: str) -> list[int]:
    """Return the task indices of a list like ``0,1,2``."""
    try:
        return [int(part) for part in said.split(",")]
    except ValueError as error:
        raise typer.BadParameter(
            f"expected task indices like 0,1,2, got {said!r}", param_hint="--train-tasks"
        ) from error


@checkpoints.command("list")
def list_checkpoints(data_root: Root = None) -> None:
    """List the registered checkpoints."""
    for info in registry_of(data_root).list():
        tasks = "train tasks unknown" if info.train_tasks is None else f"{len(info.train_tasks)} train tasks"
        mask = "causal" if info.policy.causal else "non-causal"
        former = f"  formerly {', '.join(info.former_names)}" if info.former_names else ""
        typer.echo(f"{info.id[:12]}  {info.name}  {info.policy.family}  {mask}  {tasks}{former}")


@checkpoints.command("inspect")
def inspect_checkpoint(
    source: Path,
    config: Annotated[Path | None, typer.Option(help="JSON or YAML beside a bare state dict.")] = None,
    key: Key = None,
    prefix: Prefix = None,
    ignore: Ignore = None,
) -> None:
    """Say what a file holds, and what it does not; nothing is registered."""
    typer.echo(json.dumps(inspect(source, config, choice_of(key, prefix, ignore)), indent=1))


@checkpoints.command("remove")
def remove_checkpoint(name: str, data_root: Root = None) -> None:
    """Remove a checkpoint; refused while captures need it for replay."""
    settings = settings_of(data_root)
    prepare(settings)
    database = open_database(settings)
    used = {job.resolved.checkpoint_id for job in JobStore(database).in_state(*JobState) if job.deleted_at is None}
    database.close()
    info = registry_of(data_root).remove(name, in_use=used)
    typer.echo(f"removed {info.name}")


def key_store(data_root: Path | None) -> KeyStore:
    """Return the keys under the data root."""
    settings = settings_of(data_root)
    prepare(settings)
    return KeyStore(open_database(settings))


@keys.command("create")
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


@keys.command("list")
def list_keys(data_root: Root = None) -> None:
    """List the keys, without their secrets."""
    for key in key_store(data_root).list():
        state = "revoked" if key.revoked_at else f"expires {key.expires_at:%Y-%m-%d}" if key.expires_at else "valid"
        typer.echo(f"{key.id}  {key.owner}  {','.join(key.scopes)}  {state}  {key.label or ''}")


@keys.command("revoke")
def revoke_key(key_id: str, data_root: Root = None) -> None:
    """End a key at once."""
    key_store(data_root).revoke(key_id)
    typer.echo(f"revoked {key_id}")


def main() -> None:
    """Run the command line; an error that attnscope explains is one line, with status 2 for wrong usage, else 1."""
    os.umask(0o077)  # what this process and its workers write is readable by their owner alone
    take_any_terminal(sys.stdout, sys.stderr)
    try:
        raise SystemExit(app(prog_name="attnscope-server", standalone_mode=False) or 0)
    except UsageError as error:
        typer.echo(said_of(error), err=True)
        raise SystemExit(WRONG_USAGE) from error
    except typer.Abort:
        typer.echo("stopped", err=True)
        raise SystemExit(1) from None
    except AttnscopeError as error:
        typer.echo(f"error: {error.message}", err=True)
        raise SystemExit(1) from error
    except UNANSWERED as error:
        typer.echo(
            f"error: the job database did not answer ({error}); another program may hold it: try again", err=True
        )
        raise SystemExit(1) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        typer.echo(f"error: {where}{error.strerror or error}", err=True)
        raise SystemExit(1) from error
