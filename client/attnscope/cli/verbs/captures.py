"""Verbs that read a capture, or a trial: download, draw, summarise."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

import attnscope
from attnscope.cli.address import connect
from attnscope.cli.app import JobName, Json, Source, app, find_capture, out, say, tell
from attnscope.cli.arms import Returns, named_files
from attnscope.errors import MapNotSampledError
from attnscope.kinds.view import view_of
from attnscope_storage.wire.contract import imported

if TYPE_CHECKING:
    from attnscope.capture import Capture
    from attnscope.fetching.stored import Stored


@app.command()
def fetch(
    job: JobName = "last",
    to: Annotated[
        Path | None, typer.Option("--out", help="New folder; default capture-<job>.zarr, or trial-<job>.zarr.")
    ] = None,
    npz: Annotated[bool, typer.Option("--npz", help="Write attention_data.npz into this folder instead.")] = False,
    as_json: Json = False,
) -> None:
    """Download a capture or a trial, to work offline."""
    with connect() as service:
        found = service.job(job)
        if npz:
            written = found.capture().save_npz(to or Path())
        else:
            stored = found.stored()
            written = stored.download(to or Path(f"{stored.kind}-{str(found.id)[:8]}.zarr"))
    say({"path": str(written)}) if as_json else out.print(f"wrote {escape(str(written))}")


@app.command("heatmap")
def draw_heatmap(
    job: JobName = "last",
    to: Annotated[Path, typer.Option("--out", help="Folder.")] = Path(),
    step: Annotated[list[int] | None, typer.Option(help="Any step; default the sampled ones.")] = None,
    env: Annotated[int, typer.Option(help="Place among the stored environments.")] = 0,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic colours.")] = False,
    form: Annotated[str, typer.Option("--format", help="png, svg or pdf.")] = "png",
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Draw the layer × head attention maps of steps: sampled ones, or any other that the service then replays."""
    from attnscope.figures.heatmap import FORMATS, heatmaps, save  # noqa: PLC0415 - loads matplotlib

    if form not in FORMATS:
        raise typer.BadParameter(f"expected one of {', '.join(FORMATS)}, got {form!r}", param_hint="--format")
    capture = find_capture(job, source)
    steps = step or capture.map_steps()
    if not capture.policy.whole_maps:
        raise MapNotSampledError("this policy computes the deciding token's attention alone: there are no whole maps")
    if not steps:
        why = capture.lacks("attention/maps") or capture.none_of("whole map")
        raise MapNotSampledError(f"{why}: name any step of a job with --step, or submit with --maps 5")
    written = []
    for at, figure in zip(steps, heatmaps(capture, steps, env=env, log=log), strict=True):
        name = f"attention_heatmap_step{at}{'_log' if log else ''}.{form}"
        written.append(str(save(figure, to / name)))
        if not as_json:
            out.print(f"wrote {escape(written[-1])}")
    if as_json:
        say({"files": written})


@app.command()
def summary(
    job: JobName = "last",
    source: Source = None,
    trial: Annotated[Path | None, typer.Option(help="A downloaded trial.")] = None,
    returns: Returns = None,
    as_json: Json = False,
) -> None:
    """Summarise a capture: returns, context length, recency against uniform; of a trial: what each condition costs."""
    if source is not None and trial is not None:
        raise typer.BadParameter("name one folder: a capture's or a trial's", param_hint="--trial")
    stored: Stored
    if trial is not None:
        stored = attnscope.open_trial(trial)
    else:
        stored = connect().job(job).stored() if source is None else attnscope.open(source)
    beside = named_files(returns)
    summary = imported(view_of(stored.kind).summary)
    if beside and "returns" not in signature(summary).parameters:
        raise typer.BadParameter(f"stand beside a trial's conditions, not a {stored.kind}", param_hint="--returns")
    summary(stored, as_json=as_json, **({"returns": beside} if beside else {}))


def summarise_capture(capture: Capture, *, as_json: bool) -> None:
    """Print the summary of a capture."""
    from attnscope.report.summary import summarise  # noqa: PLC0415 - loads zarr

    text = summarise(capture)
    say({"summary": text}) if as_json else tell(text)
