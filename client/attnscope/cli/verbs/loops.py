"""The verb that compares somebody's own loop with the arm that a decision answers with."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from attnscope.cli.address import connect
from attnscope.cli.app import JobName, Json, app, out, say

DIFFERS = 1
"""Exit status where the loop acts otherwise."""


@app.command("check-loop")
def check_loop(
    job: JobName,
    loop: Annotated[Path | None, typer.Option(help="Python file with a function distributions(history).")] = None,
    answers: Annotated[Path | None, typer.Option(help="A .npy of probabilities or actions instead.")] = None,
    export: Annotated[Path | None, typer.Option(help="Write the history as .npz, to run the loop elsewhere.")] = None,
    as_json: Json = False,
) -> None:
    """Compare 100 actions of your own loop with those of a decision's answer.

    The loop gets one stored rollout and returns its action probabilities at every step. It runs here, not in a service.
    """
    from attnscope.decisions import checking  # noqa: PLC0415 - loads zarr

    if sum(one is not None for one in (loop, answers, export)) != 1:
        raise typer.BadParameter("name one of --loop, --answers and --export")
    with connect() as service:
        decision = service.job(job).decision()
        sample = checking.sample_of(decision)
        capture = service.job(sample.capture).capture()
        history = checking.history_of(capture, sample)
        if export is not None:
            checking.export_history(export, history)
            steps = len(history["action"])
            out.print(f"wrote {escape(str(export))}: {steps} steps; compared are the last {len(sample.steps)}")
            return
        outputs = checking.outputs_of(loop, answers, history)
        found = checking.check_loop(outputs, sample, checking.uncompressed_of(sample))
    if as_json:
        say(asdict(found) | {"same": found.same, "sentence": found.sentence})
    else:
        out.print(escape(found.sentence))
    if not found.same:
        raise typer.Exit(DIFFERS)
