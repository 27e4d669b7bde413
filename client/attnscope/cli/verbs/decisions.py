"""The verb that decides: how much of its history a policy may drop, in one answer."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape

from attnscope.cli.address import connect
from attnscope.cli.app import Json, app, goes_on, out, say
from attnscope.cli.asking import NUMBERS, SEVERAL, SPELLINGS, DryRun, OnKind
from attnscope.cli.options import Asked, Spelling, asks, specified
from attnscope.cli.parsing import goals, integers, share, times
from attnscope.cli.verbs.jobs import cells, show, show_estimates, stands
from attnscope.following import about, lines_of
from attnscope_storage.wire.specifications.decisions import DecisionSpec

if TYPE_CHECKING:
    from attnscope.cli.verbs.reports import Asked as ReportAsked
    from attnscope.decisions.decision import Decision
    from attnscope.service import Service

CAPTURE: Final = "capture"
"""Field that names a linked capture."""

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
        CAPTURE: Spelling("--from", str, lambda name, _: name, "Id, prefix or JOB/capture."),
    }
)
"""Spellings of a decision's fields."""


SHOW: Final = "show"
"""In place of a checkpoint: prints a decision that was made before."""


@app.command()
@asks(DecisionSpec, SPELLED, without=("checkpoint",))
def decide(
    asked: Asked,
    checkpoint: Annotated[str, typer.Argument(help="Id, id prefix or name of a checkpoint; or show.")],
    job: Annotated[str | None, typer.Argument(help="After show: the decision.")] = None,
    out_folder: Annotated[Path | None, typer.Option("--out", help="A new folder for the card.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the answer and print it.")] = True,
    dry_run: DryRun = False,
    device_kind: OnKind = None,
    as_json: Json = False,
) -> None:
    """Decide how much of its history a policy may drop: gate, screen, race, ladder, one answer.

    `attnscope decide show JOB` prints a decision that was made before.
    """
    if (checkpoint == SHOW) != (job is not None):
        raise typer.BadParameter("a job is named after show alone: attnscope decide show JOB", param_hint="JOB")
    with connect() as service:
        if job is not None:
            shown(service.job(job).decision(), out_folder, service, as_json=as_json)
            return
        asked["checkpoint"] = checkpoint
        if CAPTURE in asked:
            asked[CAPTURE] = service.job(asked[CAPTURE]).id
        spec = specified(DecisionSpec, asked)
        guess = service.estimate(spec)
        if dry_run:
            show_estimates([guess], lambda one: cells(one.resolved), as_json=as_json)
            if not as_json:
                out.print(escape(about(guess)))
            return
        made = service.submit(spec, device_kind=device_kind)
        if not wait:
            show(made, as_json=as_json)
            return
        if not as_json:
            out.print(f"decision {made.id}  {escape(cells(made.info.resolved))}")
            places = getattr(made.info.resolved, "positions", ())
            out.print(escape(stands(places, stated=spec.positions is not None)))
            out.print(escape(about(guess)))
        with goes_on(made):
            for line in lines_of(made):
                if not as_json:
                    out.print(escape(line))
        shown(made.decision(), out_folder, service, as_json=as_json)


def shown(found: Decision, folder: Path | None, service: Service, *, as_json: bool) -> None:
    """Print a decision and what a trial says of other checkpoints; write its card where a folder is named."""
    show_decision(found, as_json=as_json)
    if not as_json:
        tell_arms(found, service)
    if folder is not None:
        from attnscope.report.decision import write_decision_report  # noqa: PLC0415 - loads matplotlib

        for path in write_decision_report(found.card, folder):
            if not as_json:
                out.print(f"wrote {escape(str(path))}")


def tell_arms(found: Decision, service: Service) -> None:
    """Print the answer of the newest trial in which other checkpoints were arms beside this one, if there is one.

    A decision is about one checkpoint: it proposes rules from histories of one policy.
    """
    from attnscope.recommendations.beside import find_arms  # noqa: PLC0415 - loads zarr
    from attnscope.recommendations.measured import lead_of_trials  # noqa: PLC0415 - as above

    trial = find_arms(service, found.card)
    if trial is None:
        return
    out.print("\nBeside the card:")
    for one in lead_of_trials([trial.results()]):
        out.print(escape(one.sentence))


def show_decision(found: Decision, *, as_json: bool) -> None:
    """Print a decision's answer and its card; the card alone as JSON."""
    from attnscope.decisions.wording import card_lines  # noqa: PLC0415 - its package loads zarr

    card = found.card
    if as_json:
        say(card.model_dump(mode="json"))
        return
    for line in card_lines(card):
        out.print(escape(line))


def report_decision(found: Decision, folder: Path, asked: ReportAsked) -> list[str]:
    """Write the card in all of its forms into a folder."""
    from attnscope.report.decision import write_decision_report  # noqa: PLC0415 - loads matplotlib

    asked.refuse_of_trials("decision")
    return [str(path) for path in write_decision_report(found.card, folder, asked.form)]
