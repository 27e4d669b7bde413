"""The verb that puts captures side by side, or the checkpoints of one run over its training."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

import attnscope
from attnscope.cli.address import connect
from attnscope.cli.app import Json, app, out, say, tell
from attnscope.cli.narrowing import Length
from attnscope.cli.verbs.reports import Folder, Full, Jobs, Paper, Sources

if TYPE_CHECKING:
    from attnscope.study import Choice


@app.command()
def compare(
    job: Jobs = None,
    to: Folder = Path("comparison"),
    source: Sources = None,
    steps: Length = None,
    full: Full = False,
    paper: Paper = False,
    as_json: Json = False,
) -> None:
    """Compare captures of several checkpoints, environments or readings, and say whether their patterns agree.

    One folder of a run that `attnscope-server watch` follows is read whole: its checkpoints are one set, over training.
    """
    from attnscope.comparison import write_comparison  # noqa: PLC0415 - loads matplotlib
    from attnscope.comparison.series import is_run  # noqa: PLC0415 - as above
    from attnscope.study import Choice  # noqa: PLC0415 - as above

    named = [*(job or []), *map(str, source or [])]
    if len(named) == 1 and is_run(Path(named[0])):
        _compare_run(Path(named[0]), to, Choice(steps=steps, full=full), paper=paper, as_json=as_json)
        return
    if paper:
        raise typer.BadParameter("drawn for a paper is the folder of one run", param_hint="--paper")
    captures = find_captures(job, source)
    if len(captures) < 2:  # noqa: PLR2004 - a comparison
        raise typer.BadParameter("name two captures at least, as jobs or with --capture")
    written = write_comparison(captures, to, Choice(steps=steps, full=full))
    if as_json:
        say({"files": [str(path) for path in written]})
        return
    tell((to / "comparison.txt").read_text(encoding="utf-8"))
    for path in written:
        out.print(f"wrote {escape(str(path))}")


def _compare_run(run: Path, to: Path, choice: Choice, *, paper: bool, as_json: bool) -> None:
    """Write a run's checkpoints over training."""
    from attnscope.comparison.series import read_series  # noqa: PLC0415 - loads zarr
    from attnscope.comparison.series_writing import series_text, write_series  # noqa: PLC0415 - loads matplotlib
    from attnscope.figures.look import in_a_paper  # noqa: PLC0415 - as above

    series = read_series(run, choice)
    with in_a_paper() if paper else nullcontext():
        written = write_series(series, to, "pdf" if paper else "png")
    if as_json:
        say({"files": [str(path) for path in written]})
        return
    tell(series_text(series))
    for path in written:
        out.print(f"wrote {escape(str(path))}")


def find_captures(jobs: list[str] | None, sources: list[Path] | None) -> list[Any]:
    """Return the captures that jobs and folders name; the last job's where nothing is named."""
    captures = [attnscope.open(path) for path in sources or []]
    if jobs or not captures:
        service = connect()
        captures = [service.job(name).capture() for name in jobs or ["last"]] + captures
    return captures
