"""Verbs of the operator about checkpoints: add, list, inspect, card, remove."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from attnscope_model.checkpoints.folders import new_folder
from attnscope_model.checkpoints.registry import CheckpointRegistry, inspect
from attnscope_model.parsing.choosing import Choice
from attnscope_server.errors import HubRefusedError
from attnscope_server.hub.addresses import public_connection
from attnscope_server.hub.asking import Hub
from attnscope_server.hub.card import hub_card
from attnscope_server.hub.download import download
from attnscope_server.hub.source import SCHEME, hub_source
from attnscope_server.records.job_store import JobStore
from attnscope_server.root.data_root import opened, prepare
from attnscope_server.root.verbs import Root, settings_of
from attnscope_storage.usage import WordedGroup
from attnscope_storage.wire import CheckpointInfo, JobState

verbs = typer.Typer(cls=WordedGroup, help="Registered checkpoints.", no_args_is_help=True)

Norm = Literal["pre", "post"]
Sampling = Literal["sample", "greedy"]
Config = Annotated[
    Path | None,
    typer.Option(help="JSON, YAML or AMAGO's config.txt of a bare state dict (FILE.yaml is found); or attnscope.json."),
]
Key = Annotated[str | None, typer.Option("--key", help="State dict to read where several fit: ema, or . for the top.")]
Prefix = Annotated[str | None, typer.Option("--prefix", help="What the names of its weights begin with: actor.")]
Ignore = Annotated[
    list[str] | None,
    typer.Option("--ignore", help="Weights that no decision uses, by pattern: 'value_head.*'; repeat for several."),
]


def registry_of(data_root: Path | None) -> CheckpointRegistry:
    """Return the registry under the data root."""
    settings = settings_of(data_root)
    prepare(settings)
    return CheckpointRegistry(settings.checkpoints_folder)


@verbs.command("add")
def add_checkpoint(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A torch, safetensors or pickle file, a folder: its newest or only one, or hf://OWNER/NAME@COMMIT."
        ),
    ] = None,
    causal: Annotated[
        bool | None, typer.Option("--causal/--non-causal", help="The mask, where no file says it.")
    ] = None,
    heads: Annotated[int | None, typer.Option(help="Heads of a layer, where no file says it.")] = None,
    context_length: Annotated[int | None, typer.Option(help="Tokens of a full context, query included.")] = None,
    norm: Annotated[Norm | None, typer.Option(help="Norms before or after attention.")] = None,
    preset: Annotated[str | None, typer.Option(help="Environment that it was trained in.")] = None,
    sampling: Annotated[Sampling | None, typer.Option(help="How it acts where a capture does not choose.")] = None,
    config: Config = None,
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
    before = {info.id: info for info in registry.list()}
    if shipped:
        added = registry.add_shipped()
    elif source is None:
        raise typer.BadParameter("name a file or a run folder, or say --shipped")
    else:
        with local_source(source, registry, data_root) as path:
            one = registry.add(
                path,
                causal=causal,
                heads=heads,
                context_length=context_length,
                norm=norm,
                preset=preset,
                sampling=sampling,
                config=config,
                name=name,
                train_tasks=None if train_tasks is None else task_indices(train_tasks),
                choice=choice_of(key, prefix, ignore),
                source_name=source if source.startswith(SCHEME) else None,
            )
        added = [one]
    for info in added:
        _show(info, before.get(info.id, info))


@contextmanager
def local_source(source: str, registry: CheckpointRegistry, data_root: Path | None) -> Iterator[Path]:
    """Give the path that a source names; a repository of the Hub is fetched first, and gone afterwards."""
    if (repository := hub_source(source)) is None:
        yield Path(source)
        return
    settings = settings_of(data_root)
    if not settings.hub:
        raise HubRefusedError(
            "fetching from the Hugging Face Hub is off: set ATTNSCOPE_SERVER_HUB=1 for this command, or fetch the "
            "folder by other means and add that"
        )
    with new_folder(registry.root) as folder:
        download(Hub(public_connection), repository, folder, settings.hub_bytes, typer.echo)
        yield folder


def _show(info: CheckpointInfo, earlier: CheckpointInfo) -> None:
    """Print an added checkpoint: its name, its mask, and every answer that it rests on."""
    mask = "causal" if info.policy.causal else "non-causal"
    typer.echo(f"{info.name}  {info.id[:12]}  {mask} (mask stated by {info.causal_stated_by})")
    if earlier.name != info.name:
        typer.echo(f"  renamed from {earlier.name}, which goes on naming it")
    typer.echo(f"  acts in {info.preset}, {info.sampling} where a capture does not choose")
    if earlier.preset != info.preset:
        typer.echo(f"  it acted in {earlier.preset} before: new jobs of any of its names act in {info.preset}")
    if info.stated:
        typer.echo("  stated by user: " + ", ".join(f"{name} {answer}" for name, answer in info.stated.items()))
    for note in info.notes:
        typer.echo(f"  note: {note}")


def choice_of(key: str | None, prefix: str | None, ignore: list[str] | None) -> Choice | None:
    """Return where in a file the policy is said to stand; None where nothing is said."""
    return None if key is None and prefix is None and not ignore else Choice(key, prefix, tuple(ignore or ()))


def task_indices(text: str) -> list[int]:
    """Return the task indices of a list like ``0,1,2``."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(
            f"expected task indices like 0,1,2, got {text!r}", param_hint="--train-tasks"
        ) from error


@verbs.command("list")
def list_checkpoints(data_root: Root = None) -> None:
    """List the registered checkpoints."""
    for info in registry_of(data_root).list():
        tasks = "train tasks unknown" if info.train_tasks is None else f"{len(info.train_tasks)} train tasks"
        mask = "causal" if info.policy.causal else "non-causal"
        former = f"  formerly {', '.join(info.former_names)}" if info.former_names else ""
        typer.echo(f"{info.id[:12]}  {info.name}  {info.policy.family}  {mask}  {tasks}{former}")


@verbs.command("inspect")
def inspect_checkpoint(
    source: Path,
    config: Config = None,
    key: Key = None,
    prefix: Prefix = None,
    ignore: Ignore = None,
) -> None:
    """Say what a file holds, and what it does not; nothing is registered."""
    typer.echo(json.dumps(inspect(source, config, choice_of(key, prefix, ignore)), indent=1))


@verbs.command("card")
def checkpoint_card(
    name: Annotated[str, typer.Argument(help="Name or id of a registered checkpoint.")],
    licence: Annotated[str | None, typer.Option("--license", help="The Hub's word for its licence: mit.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="A new file; printed where it is left out.")] = None,
    data_root: Root = None,
) -> None:
    """Write a checkpoint's card in the form of the Hugging Face Hub: YAML, then text."""
    registry = registry_of(data_root)
    text = hub_card(registry.get(name), licence)
    if out is None:
        typer.echo(text, nl=False)
        return
    with out.open("x", encoding="utf-8") as file:
        file.write(text)
    typer.echo(f"{out}: put it as README.md beside the files of {registry.folder(name)}")


@verbs.command("remove")
def remove_checkpoint(name: str, data_root: Root = None) -> None:
    """Remove a checkpoint; refused while captures need it for replay."""
    settings = settings_of(data_root)
    prepare(settings)
    with opened(settings) as database:
        jobs = [job for job in JobStore(database).in_state(*JobState) if job.deleted_at is None]
    used = {identity for job in jobs for identity in job.resolved.checkpoint_ids}
    info = registry_of(data_root).remove(name, in_use=used)
    typer.echo(f"removed {info.name}")
