"""The verb that tries compression: the same policy acting under strategies and budgets, beside itself uncompressed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import attnscope
from attnscope.cli.address import connect
from attnscope.cli.app import Json, app, goes_on, out, say
from attnscope.cli.asking import SPELLINGS, DryRun, Wait
from attnscope.cli.boards import show_board
from attnscope.cli.jobs import cells, cost, show
from attnscope.cli.options import Asked, asks, specified
from attnscope.proposal import FIRST, Proposal, fresh_seeds, propose, read_proposal
from attnscope.service import Service
from attnscope_storage.wire import TrialSpec


@app.command()
@asks(TrialSpec, SPELLINGS, optional=("checkpoint", "strategies", "budgets"))
def trial(
    asked: Asked,
    from_report: Annotated[
        Path | None, typer.Option(help="A report's folder: try the first choices of its recommendations.")
    ] = None,
    recommended: Annotated[
        str | None, typer.Option(help="A capture's job: recommend from it here, and try the first choices.")
    ] = None,
    first: Annotated[int, typer.Option(min=1, help="How many first choices.")] = FIRST,
    wait: Wait = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Measure what compression costs: strategies × budgets × positions, paired with the uncompressed rollout."""
    if from_report is not None and recommended is not None:
        raise typer.BadParameter("name a report or a capture's job, not both", param_hint="--from-report")
    if from_report is not None:
        asked = proposed(asked, read_proposal(from_report, first))
    with connect() as service:
        if recommended is not None:
            asked = follow(service, recommended, asked, first)
        spec = specification(asked)
        if dry_run:
            guess = service.estimate(spec)
            if as_json:
                say(guess.model_dump(mode="json"))
                return
            out.print(f"{escape(cells(guess.resolved))}\n{escape(cost(guess))}")
            return
        job = service.submit(spec)
        if not as_json:
            out.print(escape(cells(job.info.resolved)))
        if wait:
            with goes_on(job):
                job.wait(progress=True)
        if wait and not as_json:
            show_board(job.trial(), as_json=False)
        show(job, as_json=as_json)


def specification(asked: Asked) -> TrialSpec:
    """Return the specification made of the given options; the others have the specification's defaults.

    Raises
    ------
    BadParameter
        Something that a trial needs was not said.
    RequestRefusedError
        A field is wrong.
    """
    for name, option in (("checkpoint", "--checkpoint"), ("strategies", "--strategy"), ("budgets", "--budget")):
        if name not in asked:
            raise typer.BadParameter("needed, unless --from-report or --recommended says it", param_hint=option)
    return specified(TrialSpec, asked)


def proposed(asked: Asked, proposal: Proposal) -> Asked:
    """Return what was said, completed by what some advice proposes."""
    own: Asked = {
        "checkpoint": proposal.checkpoint,
        "environment": {"id": proposal.environment},
        "strategies": proposal.strategies,
        "budgets": (proposal.budget,),
        "positions": (proposal.positions,),
    }
    return own | asked


def follow(service: Service, job: str, asked: Asked, first: int) -> Asked:
    """Return what was said, completed by what the capture of a job advises; on rollouts that it has not seen."""
    capture = service.job(job).capture()
    resolved = capture.resolved
    share = next((one for one in asked.get("budgets", ()) if isinstance(one, float)), None)
    proposal = proposed({}, propose(attnscope.recommend(capture, budget=share).to_json(), first))
    if proposal["environment"] == {"id": resolved.environment_id}:
        proposal["environment"]["kwargs"] = resolved.environment_kwargs
    return proposal | {"seeds": fresh_seeds(capture.spec.seeds)} | asked
