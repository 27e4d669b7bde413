"""Verbs that say what to do about a capture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import attnscope
from attnscope.cli.address import connect
from attnscope.cli.app import JobName, Json, Source, app, find_trial, out, tell
from attnscope.cli.narrowing import Cells, Environments, Length, Places

FILE = "compression_recommendations.txt"
"""The guide's name."""


@app.command()
def recommend(
    job: JobName = "last",
    to: Annotated[Path | None, typer.Option("--out", help=f"Folder for {FILE} and its JSON.")] = None,
    budget: Annotated[
        float | None, typer.Option(help="Share of the history to compare at; default: found.", min=0.01, max=1.0)
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read the rows of every step, not a sample.")] = False,
    steps: Length = None,
    envs: Places = None,
    goal: Cells = None,
    trial: Annotated[
        list[str] | None,
        typer.Option(help="A trial of this checkpoint, a job or a downloaded one: scores the predictions; repeatable."),
    ] = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Say which of the context to keep: patterns, ranked strategies, and what would show them wrong."""
    wanted = Environments(envs, goal)
    trials = [find_trial(name).results() for name in trial or []]
    if source is None:
        with connect() as service:
            capture, offers = service.job(job).capture(), service.capabilities()
            where = wanted.of(capture)
            advice = attnscope.recommend(
                capture, budget=budget, trials=trials, capabilities=offers, full=full, envs=where, steps=steps
            )
    else:
        capture = attnscope.open(source)
        where = wanted.of(capture)
        advice = attnscope.recommend(capture, budget=budget, trials=trials, full=full, envs=where, steps=steps)
    if to is not None:
        to.mkdir(parents=True, exist_ok=True)
        (to / FILE).write_text(advice.text, encoding="utf-8")
        (to / FILE).with_suffix(".json").write_text(advice.json(), encoding="utf-8")
    if as_json:
        tell(advice.json())
    elif to is None:
        tell(advice.text)
    else:
        out.print(f"wrote {escape(str(to / FILE))}")
