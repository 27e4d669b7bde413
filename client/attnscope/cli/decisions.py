"""The verb that decides: how much of its history a policy may drop, in one answer."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape

from attnscope.cli.address import connect
from attnscope.cli.app import Json, app, goes_on, out, say
from attnscope.cli.asking import NUMBERS, SEVERAL, SPELLINGS, DryRun
from attnscope.cli.jobs import cells, cost, show
from attnscope.cli.options import Asked, Spelling, asks, specified
from attnscope.cli.parsing import goals, integers, share, times
from attnscope.errors import WaitTimeoutError
from attnscope.job import JobHandle
from attnscope_storage.wire.decisions import DecisionCard, DecisionSpec

if TYPE_CHECKING:
    from attnscope.cli.reports import Asked as ReportAsked
    from attnscope.decisions.decision import Decision

CARD: Final = "decision_card.json"
"""File that a report writes the card into."""

SCHEMA: Final = "decision_card.schema.json"
"""File that holds the JSON schema of the card."""

POLL_SECONDS: Final = 2.0
"""Seconds between two looks at a running decision."""

SPELLED: Final = MappingProxyType(
    {
        **SPELLINGS,
        "screening.split": Spelling("--screening-split"),
        "screening.indices": Spelling("--screening-tasks", str, integers, NUMBERS),
        "screening.goals": Spelling("--screening-goal", list[str], lambda texts, _: goals(texts), SEVERAL),
        "margin": Spelling("", str, share, "Typed 5% or 0.05."),
        "worth": Spelling("", str, times, "Typed 2x or 2."),
        "extendable": Spelling("--extendable"),
        "beyond": Spelling("--beyond"),
        "quick": Spelling("--quick"),
    }
)
"""Spellings of a decision's fields."""


@app.command()
@asks(DecisionSpec, SPELLED, without=("checkpoint",))
def decide(
    asked: Asked,
    checkpoint: Annotated[str, typer.Argument(help="Id, id prefix or name of a checkpoint.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the answer and print it.")] = True,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Decide how much of its history a policy may drop: gate, screen, race, ladder, one answer."""
    asked["checkpoint"] = checkpoint
    spec = specified(DecisionSpec, asked)
    with connect() as service:
        if dry_run:
            guess = service.estimate(spec)
            if as_json:
                say(guess.model_dump(mode="json"))
                return
            out.print(f"{escape(cells(guess.resolved))}\n{escape(cost(guess))}")
            return
        job = service.submit(spec)
        if not as_json:
            out.print(f"decision {job.id}  {escape(cells(job.info.resolved))}")
        if wait:
            with goes_on(job):
                follow(job, shown=not as_json)
            show_decision(job.decision(), as_json=as_json)
        else:
            show(job, as_json=as_json)


def follow(job: JobHandle, *, shown: bool) -> None:
    """Print the lines of a decision as they come, until it has ended."""
    printed, ended = 0, False
    while not ended:
        try:
            job.wait(timeout=POLL_SECONDS)
            ended = True
        except WaitTimeoutError:
            pass
        if shown and job.info.progress.steps_committed:
            lines = job.decision().lines
            for line in lines[printed:]:
                out.print(escape(line))
            printed = len(lines)


def show_decision(found: Decision, *, as_json: bool) -> None:
    """Print a decision's answer and its card; the card alone as JSON."""
    card = found.card
    if as_json:
        say(card.model_dump(mode="json"))
        return
    for line in card_lines(card):
        out.print(escape(line))


def card_lines(card: DecisionCard) -> list[str]:
    """Return a card as lines for people, the answer first."""
    lines = ["", f"ANSWER  {card.sentence or 'none yet'}", ""]
    lines += [
        f"for     {card.checkpoint_name} ({card.checkpoint_id[:12]}) in {card.environment_id}",
        f"scope   {card.scope}; margin {100 * card.margin:g} %; judged from episode {card.first_episode} on",
        f"cost    {card.rollouts} rollouts, baseline, gate and capture counted"
        + (f"; {card.random_rollouts} of uniform actions beside" if card.random_rollouts else ""),
    ]
    lines += [f"rung    {rung.arm}: {rung.verdict}, {rung.words}, {rung.seeds} seeds" for rung in card.rungs]
    if card.arms:
        lines.append(f"raced   {'; '.join(arm.name for arm in card.arms)}")
    lines += [f"note    {note}" for note in card.notes]
    lines += [f"not     {one}" for one in card.left_out]
    if card.paste is not None:
        lines += ["", "For your own loop:", *card.paste.splitlines()]
    return [*lines, "", f"again   {card.command}"]


def report_decision(found: Decision, folder: Path, asked: ReportAsked) -> list[str]:
    """Write the card, its JSON schema and its text into a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    card = found.card
    texts = {
        CARD: card.model_dump_json(indent=1),
        SCHEMA: json.dumps(DecisionCard.model_json_schema(), indent=1),
        "decision.txt": "\n".join([*card.lines, *card_lines(card)]),
    }
    paths = []
    for name, text in texts.items():
        path = folder / name
        path.write_text(text + "\n", encoding="utf-8")
        asked.tell(path)
        paths.append(str(path))
    return paths
