"""The verb that follows a run folder: ``attnscope-server watch``."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Literal

import typer

Names = Annotated[list[str], typer.Option("--strategy", help="Rule that is screened. Repeat for several.")]
Shares = Annotated[str, typer.Option("--budgets", help="Shares or numbers of transitions kept: 0.1,0.25,32.")]


def watch(
    run: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder with ckpt-<step>.pt or step-<step>.")
    ],
    causal: Annotated[bool | None, typer.Option("--causal/--non-causal", help="The policy's mask.")] = None,
    preset: Annotated[str | None, typer.Option(help="Environment that it is trained in.")] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads of a layer.")] = None,
    context_length: Annotated[int | None, typer.Option(help="Tokens of a full context, query included.")] = None,
    split: Annotated[
        Literal["train", "validation", "test", "all"] | None,
        typer.Option(help="Split of the tasks; by default validation, else train."),
    ] = None,
    tasks: Annotated[str | None, typer.Option(help="Entries of the split: 0,1,2. By default the first four.")] = None,
    replicas: Annotated[int, typer.Option(min=1, help="Rollouts of a task.")] = 4,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes of a rollout.")] = 6,
    strategy: Names = ["recency", "uniform"],  # noqa: B006 - typer reads it and changes it never
    budgets: Shares = "0.1,0.25,0.5",
    decisions: Annotated[int, typer.Option(min=8, help="Stored decisions that are screened.")] = 256,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard/--no-tensorboard", help="Write TensorBoard events.")
    ] = True,
    once: Annotated[bool, typer.Option("--once", help="Screen what is there and end.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds from one look at the folder to the next.")] = 30.0,
) -> None:
    """Screen each new checkpoint of a run while it trains; interrupted, the same command goes on."""
    from attnscope_server.following.follow import following  # noqa: PLC0415 - imports torch
    from attnscope_server.following.screening import Watched  # noqa: PLC0415 - as above

    asked = Watched(
        causal=causal,
        preset=preset,
        heads=heads,
        context_length=context_length,
        split=split,
        tasks=None if tasks is None else tuple(_entry(one) for one in tasks.split(",")),
        replicas=replicas,
        episodes=episodes,
        strategies=tuple(strategy),
        budgets=tuple(_number(one) for one in budgets.split(",")),
        decisions=decisions,
    )
    with following(run, asked, tensorboard=tensorboard, tell=typer.echo) as follower:
        typer.echo(f"{follower.folder}: compare it with attnscope compare {run}")
        follower.look()
        while not once:
            threading.Event().wait(every)
            follower.look()


def register(app: typer.Typer) -> None:
    """Add the verb to the operator's command line."""
    app.command()(watch)


def _number(text: str) -> int | float:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise typer.BadParameter(
            f"expected shares or numbers like 0.1,0.25,32, got {text!r}", param_hint="--budgets"
        ) from None


def _entry(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(
            f"expected entries of the split like 0,1,2, got {text!r}", param_hint="--tasks"
        ) from None
