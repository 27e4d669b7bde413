"""The commands of ``attnscope``.

Exit status: 0 done; 1 an error with its reason; 2 wrong usage; 3 the job failed; 4 the job was cancelled; 5 the service
cannot be reached; 6 the key is missing or may not; 7 no such job, capture or map.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

import attnscope
from attnscope.cli.parsing import goals, integers, pairs
from attnscope.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    JobCancelledError,
    JobFailedError,
    MapNotSampledError,
)
from attnscope.job import JobHandle
from attnscope.progress import describe
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.wire import (
    CaptureSpec,
    EnvironmentChoice,
    JobState,
    MapsChoice,
    ResolvedCapture,
    RowsChoice,
    SamplingChoice,
    TaskChoice,
)

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
out = Console(highlight=False, soft_wrap=True)

STATUS: list[tuple[type[BaseException], int]] = [
    (JobFailedError, 3),
    (JobCancelledError, 4),
    (ConnectionFailedError, 5),
    (ConfigurationError, 5),
    (AuthenticationError, 6),
    (LookupError, 7),
]
"""Exit status by error, the first that fits."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobName = Annotated[str, typer.Argument(help="Id, unique prefix of an id, or 'last'.")]


def say(value: Any) -> None:  # noqa: ANN401 - anything JSON
    """Print JSON for programs."""
    typer.echo(json.dumps(value, indent=1))


def show(job: JobHandle, *, as_json: bool) -> None:
    """Print one job."""
    if as_json:
        say(job.info.model_dump(mode="json"))
        return
    out.print(f"{job.id}  {escape(describe(job.info))}")
    if job.info.failure is not None:
        out.print(f"  {escape(job.info.failure.title)}: {escape(job.info.failure.detail)}")


def cells(resolved: ResolvedCapture) -> str:
    """Return what a submission was resolved to, in one line."""
    tasks = ", ".join(cell.label for cell in resolved.tasks[:12])
    more = f" and {len(resolved.tasks) - 12} more" if len(resolved.tasks) > 12 else ""  # noqa: PLR2004 - as above
    return f"{resolved.checkpoint_name} on {tasks}{more}: {resolved.envs} environments × {resolved.steps} steps"


@app.command()
def submit(
    checkpoint: Annotated[str, typer.Option(help="Name, or prefix of a name or id.")],
    env: Annotated[str | None, typer.Option(help="A listed environment; default the checkpoint's.")] = None,
    env_kwarg: Annotated[list[str] | None, typer.Option(help="name=value; repeat for several.")] = None,
    split: Annotated[str | None, typer.Option(help="train, validation, test or all.")] = None,
    tasks: Annotated[str | None, typer.Option(help="Entries of the split's list: 7 or 0,2,5 or 0-7.")] = None,
    goal: Annotated[list[str] | None, typer.Option(help="A goal cell like 5,4; repeat for several.")] = None,
    episodes: Annotated[int | None, typer.Option(help="Length in episodes.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length in steps.")] = None,
    replicas: Annotated[int, typer.Option(help="Rollouts of each task and seed.")] = 1,
    seeds: Annotated[str, typer.Option(help="0 or 0,1,2 or 0-4.")] = "0",
    greedy: Annotated[bool, typer.Option("--greedy", help="Take the likeliest action.")] = False,
    temperature: Annotated[float, typer.Option(help="Divides the logits when sampling.")] = 1.0,
    maps: Annotated[int | None, typer.Option(help="Evenly spaced steps with whole maps; default 5.")] = None,
    map_steps: Annotated[str | None, typer.Option(help="Named steps with whole maps.")] = None,
    layers: Annotated[str | None, typer.Option(help="Layers whose rows and maps are stored.")] = None,
    heads: Annotated[str | None, typer.Option(help="Heads whose rows and maps are stored.")] = None,
    row_envs: Annotated[str | None, typer.Option(help="Environments whose rows and maps are stored.")] = None,
    rows_every: Annotated[int, typer.Option(help="Store the rows of every n-th step.")] = 1,
    rows: Annotated[bool, typer.Option(help="Store decision rows.")] = True,
    label: Annotated[str | None, typer.Option(help="For people.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until it ends.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; queue nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Submit a capture."""
    spec = CaptureSpec(
        checkpoint=checkpoint,
        environment=EnvironmentChoice(id=env or "attnscope/Darkroom-v0", kwargs=pairs(env_kwarg))
        if env or env_kwarg
        else None,
        tasks=TaskChoice.model_validate({"split": split, "indices": integers(tasks, "--tasks"), "goals": goals(goal)}),
        seeds=integers(seeds, "--seeds") or (0,),
        replicas=replicas,
        episodes=episodes,
        steps=steps,
        sampling=SamplingChoice(mode="greedy" if greedy else "sample", temperature=temperature),
        rows=RowsChoice(
            enabled=rows,
            envs=integers(row_envs, "--row-envs"),
            every=rows_every,
            layers=integers(layers, "--layers"),
            heads=integers(heads, "--heads"),
        ),
        maps=MapsChoice(count=maps, steps=integers(map_steps, "--map-steps")),
        label=label,
    )
    with attnscope.connect() as service:
        if dry_run:
            guess = service.estimate(spec)
            if as_json:
                say(guess.model_dump(mode="json"))
                return
            took = "unknown" if guess.seconds is None else f"about {guess.seconds:.0f} s"
            out.print(escape(cells(guess.resolved)))
            out.print(
                f"about {guess.bytes_on_disk / 1e6:.1f} MB on disk ({guess.disk_free_bytes / 1e9:.0f} GB free), "
                f"{guess.worker_memory_bytes / 1e6:.0f} MB of memory, time {took} ({escape(guess.seconds_basis)})"
            )
            return
        job = service.submit(spec)
        if not as_json:
            out.print(escape(cells(job.info.resolved)))
        if wait:
            job.wait(progress=True)
        show(job, as_json=as_json)


@app.command("list")
def list_jobs(
    state: Annotated[list[JobState] | None, typer.Option(help="Repeat for several.")] = None,
    label: str | None = None,
    limit: Annotated[int, typer.Option(min=1, help="Jobs shown, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List jobs, newest first."""
    with attnscope.connect() as service:
        jobs = [job.info for job, _ in zip(service.jobs(states=state or (), label=label), range(limit), strict=False)]
    if as_json:
        say([job.model_dump(mode="json") for job in jobs])
        return
    columns = [Column(name, overflow="fold") for name in ("job", "state", "checkpoint", "steps", "label")]
    table = Table(*columns, box=None, pad_edge=False)
    for job in jobs:
        done = f"{job.progress.steps_done}/{job.progress.steps_total}"
        table.add_row(str(job.id)[:8], job.state, escape(job.resolved.checkpoint_name), done, escape(job.label or ""))
    out.print(table)


@app.command()
def status(job: JobName = "last", as_json: Json = False) -> None:
    """Say how far a job is."""
    with attnscope.connect() as service:
        show(service.job(job), as_json=as_json)


@app.command()
def watch(job: JobName = "last", as_json: Json = False) -> None:
    """Show a job's progress until it ends."""
    with attnscope.connect() as service:
        show(service.job(job).wait(progress=True), as_json=as_json)


@app.command()
def cancel(job: JobName, as_json: Json = False) -> None:
    """Stop a job; what was committed stays readable."""
    with attnscope.connect() as service:
        show(service.job(job).cancel(), as_json=as_json)


@app.command()
def fetch(
    job: JobName = "last",
    to: Annotated[Path | None, typer.Option("--out", help="New folder; default capture-<job>.zarr.")] = None,
    npz: Annotated[bool, typer.Option("--npz", help="Write attention_data.npz into this folder instead.")] = False,
    as_json: Json = False,
) -> None:
    """Download a capture, to work offline."""
    with attnscope.connect() as service:
        capture = service.job(job).capture()
        written = (
            capture.save_npz(to or Path()) if npz else capture.download(to or Path(f"capture-{capture.job[:8]}.zarr"))
        )
    say({"path": str(written)}) if as_json else out.print(f"wrote {escape(str(written))}")


@app.command("heatmap")
def draw_heatmap(
    job: JobName = "last",
    to: Annotated[Path, typer.Option("--out", help="Folder.")] = Path(),
    step: Annotated[list[int] | None, typer.Option(help="A sampled step; default every one.")] = None,
    env: Annotated[int, typer.Option(help="Place among the stored environments.")] = 0,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic colours.")] = False,
    form: Annotated[str, typer.Option("--format", help="png, svg or pdf.")] = "png",
    source: Annotated[Path | None, typer.Option("--capture", help="A downloaded capture instead of a job.")] = None,
    as_json: Json = False,
) -> None:
    """Draw the layer × head attention maps of sampled steps."""
    from attnscope.figures.heatmap import FORMATS, heatmap, save  # noqa: PLC0415 - loads matplotlib

    if form not in FORMATS:
        raise typer.BadParameter(f"expected one of {', '.join(FORMATS)}, got {form!r}", param_hint="--format")
    capture = _capture(job, source)
    steps = step or capture.map_steps()
    if not steps:
        raise MapNotSampledError("no whole map is stored yet: wait for the first sampled step, or submit with --maps 5")
    written = []
    for at in steps:
        name = f"attention_heatmap_step{at}{'_log' if log else ''}.{form}"
        written.append(str(save(heatmap(capture, at, env=env, log=log), to / name)))
        if not as_json:
            out.print(f"wrote {escape(written[-1])}")
    if as_json:
        say({"files": written})


@app.command()
def summary(
    job: JobName = "last",
    source: Annotated[Path | None, typer.Option("--capture", help="A downloaded capture instead of a job.")] = None,
    as_json: Json = False,
) -> None:
    """Summarise a capture: returns, context length, recency against uniform."""
    from attnscope.summary import summarise  # noqa: PLC0415 - loads zarr

    text = summarise(_capture(job, source))
    say({"summary": text}) if as_json else typer.echo(text, nl=False)


def _capture(job: str, source: Path | None) -> Any:  # noqa: ANN401 - a Capture, whose module loads zarr
    return attnscope.connect().job(job).capture() if source is None else attnscope.open(source)


@app.command()
def checkpoints(as_json: Json = False) -> None:
    """List the service's checkpoints."""
    with attnscope.connect() as service:
        found = service.checkpoints()
    if as_json:
        say([info.model_dump(mode="json") for info in found])
        return
    columns = [Column(name, overflow="fold") for name in ("id", "name", "family", "mask", "context", "train tasks")]
    table = Table(*columns, box=None, pad_edge=False)
    for info in found:
        mask = f"{'causal' if info.policy.causal else 'non-causal'} (stated by {info.causal_stated_by})"
        tasks = "unknown" if info.train_tasks is None else str(len(info.train_tasks))
        row = (info.id[:12], info.name, info.policy.family, mask, str(info.policy.context_length), tasks)
        table.add_row(*map(escape, row))
    out.print(table)


@app.command()
def environments(as_json: Json = False) -> None:
    """List the service's environments, presets and splits."""
    with attnscope.connect() as service:
        found = service.environments()
    if as_json:
        say([info.model_dump(mode="json") for info in found])
        return
    for info in found:
        out.print(f"{escape(info.id)}  {escape(info.description)}")
        for preset in info.presets:
            splits = ", ".join(f"{name} {len(tasks)}" for name, tasks in preset.splits.items() if tasks)
            out.print(f"  {escape(preset.name)}: horizon {preset.horizon}, tasks {splits}")


@app.command()
def demo(
    to: Annotated[Path, typer.Option("--out", help="Folder for pictures and summary.")] = Path("demo-output"),
    as_json: Json = False,
) -> None:
    """Start a service here, capture the shipped policy, draw it. Needs the server extra."""
    from attnscope.demo import run  # noqa: PLC0415 - loads matplotlib and zarr

    written = run(to)
    if as_json:
        say({"files": [str(path) for path in written]})
        return
    typer.echo((to / "summary.txt").read_text())
    for path in written:
        out.print(f"wrote {escape(str(path))}")
    out.print("\nThe same by hand, with a service running (make serve, or attnscope-server serve):")
    out.print("  attnscope submit --checkpoint AD-darkroom --split test --episodes 20 --wait")
    out.print(f"  attnscope heatmap last --env 7 --out {escape(str(to))}")
    out.print("  attnscope summary last")


def main() -> None:
    """Run the command line; an error that attnscope explains is one line and a status that means something."""
    try:
        app()
    except (AttnscopeError, ValueError) as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"error: {escape(str(error))}")
        raise SystemExit(next((code for kind, code in STATUS if isinstance(error, kind)), 1)) from error
