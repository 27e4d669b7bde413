"""Verbs that draw everything: a report, a comparison, and captures of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

import attnscope
from attnscope.cli.app import Json, app, out, say
from attnscope.cli.narrowing import Cells, Environments, Length, Places

Jobs = Annotated[list[str] | None, typer.Argument(help="Ids, unique prefixes of ids, or 'last'.")]
Sources = Annotated[list[Path] | None, typer.Option("--capture", help="A downloaded capture; repeat for several.")]
Folder = Annotated[Path, typer.Option("--out", help="Folder.")]
Full = Annotated[bool, typer.Option("--full", help="Read the rows of every step instead of a stated sample.")]


@app.command()
def report(
    job: Jobs = None,
    to: Folder = Path("report"),
    source: Sources = None,
    heatmaps: Annotated[int, typer.Option(min=0, help="Sample heatmaps, evenly spaced.")] = 5,
    steps: Length = None,
    envs: Places = None,
    goal: Cells = None,
    form: Annotated[str, typer.Option("--format", help="Of the figures: png, svg or pdf.")] = "png",
    full: Full = False,
    as_json: Json = False,
) -> None:
    """Write every figure, the text and one offline page of captures, also of running ones."""
    from attnscope.figures.style import FORMATS  # noqa: PLC0415 - loads matplotlib
    from attnscope.report import write_report  # noqa: PLC0415 - as above
    from attnscope.study import Choice  # noqa: PLC0415 - as above

    if form not in FORMATS:
        raise typer.BadParameter(f"expected one of {', '.join(FORMATS)}, got {form!r}", param_hint="--format")
    wanted = Environments(envs, goal)
    captures = find_captures(job, source)
    written: list[str] = []
    for capture in captures:
        if not as_json:
            how_far = "complete" if capture.complete else "still running"
            out.print(f"{capture.job[:8]}  {capture.steps_committed} of {capture.resolved.steps} steps, {how_far}")
        folder = to if len(captures) == 1 else to / capture.job[:8]
        choice = Choice(envs=wanted.of(capture), steps=steps, heatmaps=heatmaps, full=full)
        tell = _quiet if as_json else _tell
        written += [str(path) for path in write_report(capture, folder, choice, form=form, tell=tell)]
    if as_json:
        say({"files": written})


@app.command()
def compare(
    job: Jobs = None,
    to: Folder = Path("comparison"),
    source: Sources = None,
    steps: Length = None,
    full: Full = False,
    as_json: Json = False,
) -> None:
    """Compare captures of several checkpoints, environments or readings, and say whether their patterns agree."""
    from attnscope.comparison import write_comparison  # noqa: PLC0415 - loads matplotlib
    from attnscope.study import Choice  # noqa: PLC0415 - as above

    captures = find_captures(job, source)
    if len(captures) < 2:  # noqa: PLR2004 - a comparison
        raise typer.BadParameter("name two captures at least, as jobs or with --capture")
    written = write_comparison(captures, to, Choice(steps=steps, full=full))
    if as_json:
        say({"files": [str(path) for path in written]})
        return
    typer.echo((to / "comparison.txt").read_text(encoding="utf-8"), nl=False)
    for path in written:
        _tell(path)


@app.command("import")
def import_capture(
    history: Annotated[Path, typer.Argument(help="attention_history.pkl of the reference.")],
    to: Annotated[Path | None, typer.Option("--out", help="New folder; default beside the file.")] = None,
    rewards: Annotated[Path | None, typer.Option(help="attention_data.npz; default the one beside the file.")] = None,
    maps: Annotated[int, typer.Option(min=0, help="Whole maps to keep, evenly spaced.")] = 5,
    name: Annotated[str | None, typer.Option(help="What to call the policy.")] = None,
    as_json: Json = False,
) -> None:
    """Read the reference's own capture into one of ours; nothing in the file is executed."""
    from attnscope.foreign import import_reference  # noqa: PLC0415 - loads zarr

    target = to or history.with_suffix(".zarr")
    import_reference(history, target, rewards, maps=maps, name=name)
    say({"path": str(target)}) if as_json else out.print(f"wrote {escape(str(target))}")


def find_captures(jobs: list[str] | None, sources: list[Path] | None) -> list[Any]:
    """Return the captures that jobs and folders name; the last job's where nothing is named."""
    captures = [attnscope.open(path) for path in sources or []]
    if jobs or not captures:
        service = attnscope.connect()
        captures = [service.job(name).capture() for name in jobs or ["last"]] + captures
    return captures


def _tell(path: Path) -> None:
    out.print(f"wrote {escape(str(path))}")


def _quiet(_path: Path) -> None:
    return
