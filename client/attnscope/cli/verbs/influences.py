"""The verb that sets attention beside what decisions would lose without what they look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from attnscope.cli.address import connect
from attnscope.cli.app import JobName, Json, app, out, say


@app.command()
def influence(
    job: JobName = "last",
    step: Annotated[list[int] | None, typer.Option(help="Decision; repeat for several. Default: five, evenly.")] = None,
    to: Annotated[Path, typer.Option("--out", help="Folder.")] = Path(),
    env: Annotated[int, typer.Option(help="Place among the stored environments.")] = 0,
    positions: Annotated[str, typer.Option(help="Of the others, when one is left out: reindex or mask.")] = "reindex",
    form: Annotated[str, typer.Option("--format", help="png, svg or pdf.")] = "png",
    as_json: Json = False,
) -> None:
    """Draw attention against influence: what each decision would lose without each transition, computed anew."""
    from attnscope.figures.causal import causal_map  # noqa: PLC0415 - loads matplotlib
    from attnscope.figures.style import FORMATS, save  # noqa: PLC0415 - as above

    if form not in FORMATS:
        raise typer.BadParameter(f"expected one of {', '.join(FORMATS)}, got {form!r}", param_hint="--format")
    if positions not in ("reindex", "mask"):
        raise typer.BadParameter(f"expected reindex or mask, got {positions!r}", param_hint="--positions")
    stand: Literal["reindex", "mask"] = "mask" if positions == "mask" else "reindex"
    if (Path(job) / "zarr.json").exists():
        raise typer.BadParameter(
            f"{job} is a folder, and influence runs the policy: name the job of the capture", param_hint="JOB"
        )
    with connect() as service:
        capture = service.job(job).capture()
        last = capture.steps_committed - 1
        steps = step or sorted({max(2, last * part // 5) for part in range(1, 6)})
        path = save(
            causal_map(capture, steps, env, positions=stand), to / f"attention_influence_step{steps[-1]}.{form}"
        )
    say({"files": [str(path)]}) if as_json else out.print(f"wrote {escape(str(path))}")
