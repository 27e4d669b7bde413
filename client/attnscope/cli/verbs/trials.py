"""The verb that tries compression: the same policy acting under strategies and budgets, beside itself uncompressed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape

import attnscope
from attnscope.cli.address import connect
from attnscope.cli.app import Json, app, goes_on, out
from attnscope.cli.arms import found_alike
from attnscope.cli.asking import SPELLINGS, DryRun, OnKind, Wait
from attnscope.cli.boards import show_board
from attnscope.cli.options import Asked, asks, specified
from attnscope.cli.verbs.jobs import cells, show, show_estimates, stands
from attnscope.proposal import FIRST, Proposal, fresh_seeds, propose, read_proposal
from attnscope.service import Service
from attnscope_storage.wire import Resolved, TrialSpec

WITHOUT_SPLITS: Final = (
    "This environment has no test tasks: the trial takes the tasks of the capture, with seeds that it did not use."
)


@app.command()
@asks(TrialSpec, SPELLINGS, optional=("checkpoint", "strategies", "budgets"))
def trial(
    asked: Asked,
    from_report: Annotated[
        Path | None, typer.Option(help="A report's folder: try the first choices of its recommendations' votes.")
    ] = None,
    recommended: Annotated[
        str | None, typer.Option(help="A capture's job: try the first choices of its screen, else of its attention.")
    ] = None,
    first: Annotated[int, typer.Option(min=1, help="How many first choices of each vote.")] = FIRST,
    wait: Wait = False,
    dry_run: DryRun = False,
    device_kind: OnKind = None,
    as_json: Json = False,
) -> None:
    """Measure what compression costs: strategies × budgets × positions, paired with the uncompressed rollout.

    With --arm, several checkpoints act, each under its rule, and are compared with the first arm.
    """
    if from_report is not None and recommended is not None:
        raise typer.BadParameter("name a report or a capture's job, not both", param_hint="--from-report")
    if "arms" in asked and (from_report is not None or recommended is not None):
        raise typer.BadParameter("arms name what is tried; advice would name it again", param_hint="--arm")
    with connect() as service:
        asked = found_alike(asked, service.checkpoints)
        wanted = _asked(service, asked, from_report, recommended, first, shown=not as_json)
        specs = [specification(one) for one in wanted]
        if dry_run:
            guesses = [service.estimate(spec) for spec in specs]
            stated = specs[0].positions is not None
            show_estimates(
                guesses,
                lambda guess: f"{cells(guess.resolved)}\n{_stands(guess.resolved, stated=stated)}",
                as_json=as_json,
            )
            return
        jobs = []
        for spec in specs:
            job = service.submit(spec, device_kind=device_kind)
            if not as_json:
                stood = _stands(job.info.resolved, stated=spec.positions is not None)
                out.print(escape(f"{cells(job.info.resolved)}\n{stood}"))
            jobs.append(job)
        for job in jobs:
            if wait:
                with goes_on(job):
                    job.wait(progress=True)
            if wait and not as_json:
                show_board(job.trial(), as_json=False)
            show(job, as_json=as_json)


def _asked(
    service: Service, asked: Asked, report: Path | None, job: str | None, first: int, *, shown: bool
) -> list[Asked]:
    """Return what each trial is asked for: one, or one a combination of budget, positions and interval of advice."""
    if report is not None:
        proposal, more = read_proposal(report, first), Asked()
    elif job is not None:
        proposal, more = follow(service, job, asked, first)
    else:
        return [asked]
    found = proposed(asked, proposal, more)
    if shown:
        for sentence in proposal.words:
            out.print(escape(sentence))
        if len(found) > 1:
            out.print(f"{len(found)} trials: one for each combination of budget, positions and interval.")
    return found


def _stands(resolved: Resolved, *, stated: bool) -> str:
    """Return where kept tokens stand, and whether the policy's default said so."""
    conditions = getattr(resolved, "conditions", ())
    return stands([one.positions for one in conditions[1:]], stated=stated)


def specification(asked: Asked) -> TrialSpec:
    """Return the specification made of the given options; the others have the specification's defaults.

    Raises
    ------
    BadParameter
        Something that a trial needs was not said.
    RequestRefusedError
        A field is wrong.
    """
    if "arms" in asked:
        return specified(TrialSpec, asked)
    for name, option in (("checkpoint", "--checkpoint"), ("strategies", "--strategy")):
        if name not in asked:
            raise typer.BadParameter("needed, unless --from-report or --recommended says it", param_hint=option)
    return specified(TrialSpec, asked)


def proposed(asked: Asked, proposal: Proposal, more: Asked) -> list[Asked]:
    """Return what was said, completed by what some advice proposes; one a trial, and none twice.

    Parameters
    ----------
    more
        What the job behind the advice says beside it.
    """
    found: list[Asked] = []
    for one in proposal.trials:
        own: Asked = {
            "checkpoint": proposal.checkpoint,
            "environment": {"id": proposal.environment},
            "strategies": one.strategies,
            "budgets": (one.budget,),
            "positions": (one.positions,),
            "interval": one.interval,
            "memory": one.memory,
        }
        whole = own | more | asked
        if whole not in found:
            found.append(whole)
    return found


def follow(service: Service, job: str, asked: Asked, first: int) -> tuple[Proposal, Asked]:
    """Return what the advice on a job's capture proposes, its screen read where there is one, and fresh seeds."""
    from attnscope.recommendations.beside import find_beside  # noqa: PLC0415 - loads zarr

    capture = service.job(job).capture()
    resolved = capture.resolved
    share = next((one for one in asked.get("budgets", ()) if isinstance(one, float)), None)
    _, screen = find_beside(service, capture)
    proposal = propose(attnscope.recommend(capture, budget=share, screen=screen).to_json(), first)
    environment = {"id": resolved.environment_id, "kwargs": resolved.environment_kwargs}
    more: Asked = {"environment": environment, "seeds": fresh_seeds(capture.spec.seeds)}
    if "tasks" in asked or any(cell.split is not None for cell in resolved.tasks):
        return proposal, more
    indices = tuple(cell.index for cell in resolved.tasks)
    words = (*proposal.words, WITHOUT_SPLITS)
    return replace(proposal, words=words), more | {"tasks": {"split": "all", "indices": indices}}
