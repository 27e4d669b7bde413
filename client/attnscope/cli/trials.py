"""The verb that tries compression: the same policy acting under strategies and budgets, beside itself uncompressed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.markup import escape

import attnscope
from attnscope.cli.app import Json, app, out, say
from attnscope.cli.asking import DryRun, Env, EnvKwarg, Goal, Greedy, Label, Split, Tasks, Temperature, Wait
from attnscope.cli.boards import show_board
from attnscope.cli.jobs import cells, cost, show
from attnscope.cli.parsing import budgets, goals, integers, pairs, strategies
from attnscope.errors import RequestRefusedError
from attnscope.proposal import FIRST, Proposal, fresh_seeds, propose, read_proposal
from attnscope.service import Service
from attnscope_storage.wire import TrialSpec
from attnscope_storage.wire.wording import wrong_fields

Asked = dict[str, Any]
"""Fields of a specification, as far as somebody has said them."""


@app.command()
def trial(
    checkpoint: Annotated[str | None, typer.Option(help="Name, or prefix of a name or id.")] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(help='recency, sinks:sinks=8 or {"name": "sinks", "sinks": 8}; repeat for several.'),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(help="Transitions kept, as a number 40 or a share 0.4; by comma, or repeat for several."),
    ] = None,
    positions: Annotated[
        list[str] | None,
        typer.Option(help="Where kept tokens stand: reindex (default), keep, right_align or mask; repeat for several."),
    ] = None,
    interval: Annotated[str, typer.Option(help="Select anew at every n-th step, or 'full'.")] = "1",
    memory: Annotated[
        str, typer.Option(help="stateless: select from the stored window; stateful: gone is gone.")
    ] = "stateless",
    path: Annotated[str, typer.Option(help="recompute, or cached: keys and values are kept.")] = "recompute",
    env: Env = None,
    env_kwarg: EnvKwarg = None,
    split: Split = None,
    tasks: Tasks = None,
    goal: Goal = None,
    seeds: Annotated[
        str | None, typer.Option(help="0 or 0,1,2 or 0-4; default 0-2, or those that the capture did not use.")
    ] = None,
    episodes: Annotated[int, typer.Option(help="Length in episodes.")] = 20,
    greedy: Greedy = None,
    temperature: Temperature = 1.0,
    controls: Annotated[bool, typer.Option(help="Add uniform and random at every budget.")] = True,
    divergence_steps: Annotated[int, typer.Option(help="Steps where the decisions are compared on one history.")] = 16,
    kept_steps: Annotated[int, typer.Option(help="Steps whose kept transitions are stored.")] = 32,
    speed: Annotated[bool, typer.Option(help="Time decisions beside uncompressed ones.")] = True,
    speed_envs: Annotated[str, typer.Option(help="Environments that are timed together.")] = "1,8,64",
    speed_decisions: Annotated[int, typer.Option(help="Decisions of each round.")] = 20,
    speed_rounds: Annotated[int, typer.Option(help="Rounds.")] = 3,
    margin: Annotated[float, typer.Option(help="Loss that is non-inferior, as a share of baseline − random.")] = 0.05,
    label: Label = None,
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
    asked: Asked = {
        "checkpoint": checkpoint,
        "strategies": strategies(strategy),
        "budgets": budgets(budget),
        "positions": tuple(positions) if positions else None,
        "interval": int(interval) if interval.isdecimal() else interval,
        "memory": memory,
        "path": path,
        "environment": {"id": env, "kwargs": pairs(env_kwarg)} if env or env_kwarg else None,
        "tasks": {"split": split, "indices": integers(tasks, "--tasks"), "goals": goals(goal)},
        "seeds": integers(seeds, "--seeds"),
        "episodes": episodes,
        "sampling": {"mode": None if greedy is None else "greedy" if greedy else "sample", "temperature": temperature},
        "controls": controls,
        "divergence_steps": divergence_steps,
        "kept_steps": kept_steps,
        "speed": _speed(speed, speed_envs, speed_decisions, speed_rounds),
        "margin": margin,
        "label": label,
    }
    if from_report is not None and recommended is not None:
        raise typer.BadParameter("name a report or a capture's job, not both", param_hint="--from-report")
    if from_report is not None:
        asked = proposed(asked, read_proposal(from_report, first))
    with attnscope.connect() as service:
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
            job.wait(progress=True)
        if wait and not as_json:
            show_board(job.trial(), as_json=False)
        show(job, as_json=as_json)


def specification(asked: Asked) -> TrialSpec:
    """Return the specification of what was said; what was not is the specification's own default.

    Raises
    ------
    BadParameter
        Something that a trial needs was not said.
    RequestRefusedError
        A field is wrong.
    """
    for name, option in (("checkpoint", "--checkpoint"), ("strategies", "--strategy"), ("budgets", "--budget")):
        if asked[name] is None:
            raise typer.BadParameter("needed, unless --from-report or --recommended says it", param_hint=option)
    try:
        return TrialSpec.model_validate({name: value for name, value in asked.items() if value is not None})
    except ValidationError as error:
        raise RequestRefusedError("; ".join(wrong_fields(error.errors()))) from error


def proposed(asked: Asked, proposal: Proposal) -> Asked:
    """Return what was said, completed by what some advice proposes."""
    own: Asked = {
        "checkpoint": proposal.checkpoint,
        "environment": {"id": proposal.environment},
        "strategies": proposal.strategies,
        "budgets": (proposal.budget,),
        "positions": (proposal.positions,),
    }
    return asked | {name: value for name, value in own.items() if asked[name] is None}


def follow(service: Service, job: str, asked: Asked, first: int) -> Asked:
    """Return what was said, completed by what the capture of a job advises; on rollouts that it has not seen."""
    capture = service.job(job).capture()
    resolved = capture.resolved
    share = next((one for one in asked["budgets"] or () if isinstance(one, float)), None)
    asked = proposed(asked, propose(attnscope.recommend(capture, budget=share).to_json(), first))
    if asked["environment"] == {"id": resolved.environment_id}:
        asked["environment"]["kwargs"] = resolved.environment_kwargs
    if asked["seeds"] is None:
        asked["seeds"] = fresh_seeds(capture.spec.seeds)
    return asked


def _speed(enabled: bool, envs: str, decisions: int, rounds: int) -> Asked:
    levels = integers(envs, "--speed-envs")
    return {"enabled": enabled, "envs": levels, "decisions": decisions, "rounds": rounds}
