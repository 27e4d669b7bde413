"""The verb that shows the main job with nothing set up."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from attnscope.cli.app import Json, app, out, say, tell


@app.command()
def demo(
    to: Annotated[Path, typer.Option("--out", help="Folder for pictures and summary.")] = Path("demo-output"),
    decide: Annotated[
        bool, typer.Option("--decide", help="Decide live, by rollouts: many minutes. Else the shipped answer is shown.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start a service here, capture and screen the shipped policy, show what it may forget. Needs the server extra."""
    from attnscope.demo import CHECKPOINT, EPISODES, REPLICAS, TASKS, run  # noqa: PLC0415 - loads matplotlib and zarr

    def told(line: str) -> None:
        if not as_json:
            out.print(escape(line))

    written = run(to, decide=decide, tell=told)
    if as_json:
        say({"files": [str(path) for path in written]})
        return
    advice = (to / "compression_recommendations.txt").read_text(encoding="utf-8")
    tell(advice.partition("\nRULES")[0])
    tell((to / "summary.txt").read_text(encoding="utf-8"))
    for path in written:
        out.print(f"wrote {escape(str(path))}")
    chosen = f"--split validation --tasks {','.join(map(str, TASKS))} --replicas {REPLICAS} --episodes {EPISODES}"
    typer.echo("\nThe same by hand, with a service running (make serve, or attnscope-server serve):")
    typer.echo(f"  attnscope submit --checkpoint {CHECKPOINT} {chosen} --wait")
    out.print("  attnscope summary last")
    out.print("  attnscope screen JOB")
    typer.echo(f"  attnscope decide {CHECKPOINT}")
    out.print(f"  attnscope report last --out {escape(shlex.quote(str(to / 'by-hand')))}")
