"""The verbs of training: ``attnscope-server collect``, ``train`` and ``evaluate``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from attnscope_model.checkpoints.folders import read_entry
from attnscope_model.checkpoints.registry import CheckpointRegistry, native_folder, shipped_checkpoints
from attnscope_server.settings import Settings
from attnscope_server.training.unheeded import refuse_unheeded

Source = Literal["explorer", "sweeper", "annealed", "q-learning", "ppo", "own"]
Preset = Annotated[str, typer.Option(help="Environment preset.")]
SourceOption = Annotated[
    Source, typer.Option(help="Algorithm whose learning is imitated; ppo wants attnscope[ppo], own is the preset's.")
]
PerTask = Annotated[int, typer.Option(help="Histories of each train task.")]
Noise = Annotated[float, typer.Option(help="Random actions of explorer, sweeper and own at first, at most.")]
TargetsOption = Annotated[
    Literal["taken", "intended"],
    typer.Option(help="Learn what explorer, sweeper and own did, or what they meant to do."),
]
UnderOption = Annotated[
    str | None, typer.Option("--under", help="Rule and budget of compressed contexts: recency:64, rewards:40%.")
]
UnderPositions = Annotated[
    Literal["keep", "reindex", "right_align"] | None,
    typer.Option(help="Where kept tokens stand; by default keep for learned absolute positions, else reindex."),
]
UnderInterval = Annotated[int, typer.Option(min=1, help="Decisions between two selections of what is kept.")]
DataRoot = Annotated[Path | None, typer.Option(help="Where the names are registered; else as settings say.")]
Threads = Annotated[int, typer.Option(min=1, max=1024, help="Torch threads; other numbers give other roundings.")]
Episodes = Annotated[int, typer.Option(help="Episodes of a history.")]
Every = Annotated[int, typer.Option(help="Episodes that the source plays for each one kept, the last of them.")]


def collect(
    out: Annotated[Path, typer.Argument(help="The npz file to write.")],
    preset: Preset = "darkroom-reference",
    source: SourceOption = "explorer",
    per_task: PerTask = 100,
    episodes: Episodes = 16,
    every: Every = 1,
    noise: Noise = 0.1,
    targets: TargetsOption = "taken",
    seed: int = 0,
) -> None:
    """Record learning histories of a preset's train tasks; never of validation or held-out ones."""
    from attnscope_server.training.plan import HistoryPlan, TrainingPlan, plainly  # noqa: PLC0415 - imports torch
    from attnscope_server.training.watching import learned, watch_collecting  # noqa: PLC0415 - as above

    _refuse_unwritable(out, ".npz", "OUT")
    with plainly():
        histories = HistoryPlan(
            source=source,
            per_task=per_task,
            episodes=episodes,
            every=every,
            seed=seed,
            noise=noise,
            targets=targets,
        )
        plan = TrainingPlan(preset=preset, histories=histories)
    made = watch_collecting(out, plan)
    curve = " ".join(f"{value:.2f}" for value in made.episode_returns().mean(axis=0))
    typer.echo(f"{out}: {len(made)} histories; {learned(plan, made)}; mean return by episode: {curve}")


def train(
    context: typer.Context,
    preset: Preset = "darkroom-reference",
    source: SourceOption = "explorer",
    per_task: PerTask = 100,
    episodes: Episodes = 16,
    every: Every = 1,
    noise: Noise = 0.1,
    targets: TargetsOption = "taken",
    layout: Annotated[
        Literal["native", "reference", "cccad", "cad"],
        typer.Option(help="Whose files are written; cccad: CAD without a compressor; cad: it packs its older history."),
    ] = "native",
    latents: Annotated[int, typer.Option(min=1, help="With --layout cad: latents of a compression.")] = 16,
    window: Annotated[int, typer.Option(min=2, help="With --layout cad: steps of a training window.")] = 160,
    positions: Literal["learned-absolute", "rotary", "alibi", "relative"] = "learned-absolute",
    clock_steps: Annotated[
        int, typer.Option(min=0, help="The horizon: every token knows its step of the episode. 0: none does.")
    ] = 0,
    clock_episodes: Annotated[
        int, typer.Option(min=0, help="And its episode's number, counted anew after so many. 0: none does.")
    ] = 0,
    context_length: Annotated[int, typer.Option(help="Tokens of a full context, query included.")] = 160,
    width: int = 64,
    layers: int = 3,
    heads: int = 4,
    feedforward: int = 256,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 2400,
    batch: Annotated[int, typer.Option(help="Full windows a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="At its peak.")] = 1e-3,
    warmup: Annotated[int, typer.Option(help="Steps over which the learning rate rises.")] = 200,
    short_length: Annotated[int | None, typer.Option(help="Length of the windows at first.")] = None,
    short_share: Annotated[float, typer.Option(help="Share of the steps with short windows.")] = 0.5,
    episode_steps: Annotated[
        int | None, typer.Option(help="The horizon: windows begin with episodes, positions know them.")
    ] = None,
    bfloat16: Annotated[
        bool, typer.Option(help="Matrix products in bfloat16; slow on processors without it. Compressed: never.")
    ] = True,
    discovery_weight: Annotated[
        float, typer.Option(help="Weight in the loss of decisions right after the first rewards of a window.")
    ] = 1.0,
    lengths: Annotated[
        list[int] | None, typer.Option(help="Context length that is learned; repeat for several. Default: all.")
    ] = None,
    under: UnderOption = None,
    under_positions: UnderPositions = None,
    under_interval: UnderInterval = 1,
    decisions: Annotated[
        int, typer.Option(min=1, help="With --under or --layout cad: decisions of each window that have a loss.")
    ] = 24,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Checkpoint to go on from: a folder or a registered or shipped name."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights and windows.")] = 0,
    evaluate_every: Annotated[int, typer.Option(help="Steps between evaluations on validation tasks.")] = 400,
    runs: Annotated[Path, typer.Option(help="Folder of the runs; the run's own is named by model, env, seed.")] = Path(
        "runs"
    ),
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write events; wants attnscope[train].")] = False,
    threads: Threads = 1,
    data_root: DataRoot = None,
) -> None:
    """Train a policy from nothing or from a checkpoint, or go on with an interrupted run of the same plan."""
    options = dict(locals())
    refuse_unheeded(context, packs=layout == "cad", compressed=under is not None)
    import torch  # noqa: PLC0415 - heavy

    from attnscope_server.training.layouts import CompressorPlan  # noqa: PLC0415 - used here alone
    from attnscope_server.training.plan import TrainingPlan, plainly  # noqa: PLC0415 - imports torch
    from attnscope_server.training.start import StartPlan  # noqa: PLC0415 - as above
    from attnscope_server.training.watching import watch  # noqa: PLC0415 - as above

    torch.set_num_threads(threads)
    options["lengths"] = tuple(lengths) if lengths else None
    began = None if start is None else _folder(start, data_root)
    if began is not None:
        options["start"], follows = StartPlan.of(began)
        options |= _following(context, options, follows)
    options["under"] = _under(under, under_positions, under_interval, decisions, str(options["positions"]))
    options["compressor"] = CompressorPlan(latents=latents, window=window, decisions=decisions)
    with plainly():
        plan = TrainingPlan.of_options(options)
    typer.echo(f"trained: {watch(runs / plan.run_name, plan, tensorboard=tensorboard, start=began)}")


def evaluate(
    checkpoints: Annotated[
        list[str],
        typer.Argument(help="Folders of checkpoints or runs, or registered names; several are seeds of one recipe."),
    ],
    split: Annotated[
        list[str] | None, typer.Option(help="train, validation or held-out; repeat for several. Default: all three.")
    ] = None,
    rollouts: Annotated[int, typer.Option(min=1, help="Of each task.")] = 10,
    episodes: Annotated[int, typer.Option(min=1, help="Of a rollout.")] = 50,
    at_most: Annotated[int, typer.Option(min=1, help="Tasks of a split, spread evenly over it.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Of the sampled actions.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Also write every return as JSON.")] = None,
    under: UnderOption = None,
    under_positions: UnderPositions = None,
    under_interval: UnderInterval = 1,
    threads: Threads = 1,
    data_root: DataRoot = None,
) -> None:
    """Print returns by episode beside the optimal and the random policy's, with intervals."""
    import torch  # noqa: PLC0415 - heavy

    from attnscope_server.training.reporting import evaluate_checkpoints  # noqa: PLC0415 - imports torch

    if out is not None:
        _refuse_unwritable(out, ".json", "--out")
    torch.set_num_threads(threads)
    folders = [_folder(name, data_root) for name in checkpoints]
    report: dict[str, Any] = evaluate_checkpoints(
        folders,
        splits=tuple(split or ("train", "validation", "held-out")),
        rollouts=rollouts,
        episodes=episodes,
        at_most=dict.fromkeys(("train", "validation", "held-out"), at_most),
        seed=seed,
        tell=typer.echo,
        under=_under(under, under_positions, under_interval, 1, read_entry(folders[0]).policy.positions),
    )
    if out is not None:
        out.write_text(json.dumps(report) + "\n", encoding="utf-8")


def _following(context: typer.Context, options: dict[str, Any], follows: dict[str, Any]) -> dict[str, Any]:
    """Return the options that follow from a checkpoint; one that was given otherwise is refused."""
    for name, value in follows.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and options[name] != value:
            raise typer.BadParameter(
                f"the checkpoint has {value}, got {options[name]}", param_hint=f"--{name.replace('_', '-')}"
            )
    return follows


def _under(
    text: str | None,
    positions: Literal["keep", "reindex", "right_align"] | None,
    interval: int,
    decisions: int,
    of_policy: str,
) -> Any:  # noqa: ANN401 - its type imports torch
    """Return the compression that was asked for; None where none was."""
    from attnscope_server.training.under import UnderPlan  # noqa: PLC0415 - imports torch

    if text is None:
        return None
    stands = positions or ("keep" if of_policy == "learned-absolute" else "reindex")
    return UnderPlan.of_text(text, stands, interval=interval, decisions=decisions)


def _folder(name: str, data_root: Path | None) -> Path:
    """Return a checkpoint's folder, given as it is, by its run or by a registered or shipped name."""
    if (native := native_folder(Path(name))) is not None:
        return native
    if Path(name).exists():
        raise typer.BadParameter(
            f"{name} holds no native checkpoint: add it first (attnscope-server checkpoint add) and name it",
            param_hint="CHECKPOINTS",
        )
    shipped = {folder.name: folder for folder in shipped_checkpoints()}
    if name in shipped:
        return shipped[name]
    root = Settings().data_root if data_root is None else data_root
    return CheckpointRegistry(Settings(data_root=root).checkpoints_folder).folder(name)


def _refuse_unwritable(out: Path, suffix: str, hint: str) -> None:
    """Refuse a file that could not be written once the work is done, or would be written under another name."""
    if not out.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.parent}", param_hint=hint)
    if out.is_dir() or out.suffix != suffix:
        raise typer.BadParameter(f"expected a file named *{suffix}, got {out}", param_hint=hint)
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise typer.BadParameter(f"{out} cannot be written", param_hint=hint)


def register(app: typer.Typer) -> None:
    """Add the verbs to the operator's command line."""
    for verb in (collect, train, evaluate):
        app.command()(verb)
