"""Commands that advise on a capture."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

import attnscope
from attnscope.cli.address import connect
from attnscope.cli.app import JobName, Json, Source, app, find_trial, out, tell
from attnscope.cli.narrowing import Cells, Environments, Length, Places

if TYPE_CHECKING:
    from attnscope.capture import Capture
    from attnscope.decisions.decision import Decision
    from attnscope.recommendations.text import Advice
    from attnscope.screens.screen import Screen
    from attnscope.service import Service
    from attnscope.trials.results import TrialResults

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
        typer.Option(
            help="A trial of this checkpoint, a job or a downloaded one: scores the predictions; repeatable. Default: "
            "the newest trial of checkpoints, whose answer is told."
        ),
    ] = None,
    screen: Annotated[
        str | None, typer.Option(help="A screen of this policy, job or folder; default: the capture's newest.")
    ] = None,
    decision: Annotated[
        str | None, typer.Option(help="A decision on this policy, job or folder; default: the newest.")
    ] = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Say what is known of what this policy may forget: the decision, else the screen; rules; where attention is."""
    trials = [find_trial(name).results() for name in trial or []]
    with ExitStack() as stack:
        service = None if source is not None else stack.enter_context(connect())
        capture = service.job(job).capture() if service is not None else attnscope.open(str(source))
        decided, screened = beside(service, capture, decision, screen)
        if service is not None and not trials:
            trials = _arms(service, capture)
        advice = attnscope.recommend(
            capture,
            budget=budget,
            trials=trials,
            screen=screened,
            decision=decided,
            capabilities=None if service is None else service.capabilities(),
            full=full,
            envs=Environments(envs, goal).of(capture),
            steps=steps,
        )
    _show(advice, to, as_json=as_json)


def _arms(service: Service, capture: Capture) -> list[TrialResults]:
    """Return the newest trial of checkpoints whose first arm is this policy, if there is one."""
    from attnscope.recommendations.beside import find_arms  # noqa: PLC0415 - loads zarr

    found = find_arms(service, capture.resolved)
    return [] if found is None else [found.results()]


def _show(advice: Advice, to: Path | None, *, as_json: bool) -> None:
    """Write advice into a folder where one is named, else print it."""
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


def beside(
    service: Service | None, capture: Capture, decision: str | None, screen: str | None
) -> tuple[Decision | None, Screen | None]:
    """Return the named decision and screen, else the newest ones of the service.

    Parameters
    ----------
    service
        None where the capture was downloaded: then only what is named counts.
    decision, screen
        A job or a folder.
    """
    from attnscope.recommendations.beside import find_beside  # noqa: PLC0415 - loads zarr

    found = (None, None) if service is None or (decision and screen) else find_beside(service, capture)
    decided = found[0] if decision is None else _named(decision, attnscope.open_decision, "decision")
    return decided, found[1] if screen is None else _named(screen, attnscope.open_screen, "screen")


def _named(name: str, opens: Callable[[Path], Any], kind: str) -> Any:  # noqa: ANN401 - a class whose module loads zarr
    path = Path(name)
    return opens(path) if path.is_dir() else getattr(connect().job(name), kind)()
