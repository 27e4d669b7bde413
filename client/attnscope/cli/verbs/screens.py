"""The verb that screens: how far every arm would change the policy on a capture's stored histories."""

from __future__ import annotations

import sys
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape

from attnscope.cli.address import connect
from attnscope.cli.app import JobName, Json, app, goes_on, out, tell
from attnscope.cli.asking import SPELLINGS, DryRun, OnKind
from attnscope.cli.options import Asked, asks, specified
from attnscope.cli.records import show_table
from attnscope.cli.verbs.jobs import show, show_estimates, stands
from attnscope.documents import document
from attnscope_storage.wire import Resolved
from attnscope_storage.wire.specifications.screens import ScreenSpec

if TYPE_CHECKING:
    from attnscope.cli.verbs.reports import Asked as ReportAsked
    from attnscope.screens.board import Row
    from attnscope.screens.screen import Screen

READ: Final = """signed: leaving what is preferred, where reward follows. attn: attention kept.
time: ÷ the fastest exact way, window growing / full.
Of several ways to stand, the one that departs least is shown; the others are in the CSV."""

COST: Final = "cost: the share of the gain that other policies lost at as many departures, roughly."


@app.command()
@asks(ScreenSpec, SPELLINGS, without=("capture", "checkpoint"))
def screen(
    asked: Asked,
    job: JobName,
    out_folder: Annotated[Path | None, typer.Option("--out", help="A new folder for the table and figures.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end and print the table.")] = True,
    dry_run: DryRun = False,
    device_kind: OnKind = None,
    as_json: Json = False,
) -> None:
    """Screen a capture: how far each rule at each budget changes the policy's decisions. It never says what is safe."""
    if (Path(job) / "zarr.json").exists():
        raise typer.BadParameter(
            f"{job} is a folder, and a screen runs the policy: name the job of the capture", param_hint="JOB"
        )
    with connect() as service:
        capture = service.job(job)
        asked["capture"] = capture.id
        spec = specified(ScreenSpec, asked)
        if dry_run:
            show_estimates([service.estimate(spec)], lambda guess: sized(guess.resolved), as_json=as_json)
            return
        made = service.submit(spec, device_kind=device_kind)
        if not wait:
            show(made, as_json=as_json)
            return
        if not as_json:
            out.print(f"screen {made.id} of {escape(made.info.resolved.checkpoint_name)}: {made.info.resolved.size}")
            places = [arm.positions for arm in getattr(made.info.resolved, "arms", ())]
            out.print(escape(stands(places, stated=spec.positions is not None)))
        with goes_on(made):
            made.wait(progress=not as_json)
        found = made.screen()
        show_screen(found, as_json=as_json)
        if out_folder is not None:
            for path in _written(found, out_folder):
                if not as_json:
                    out.print(f"wrote {escape(path)}")


def sized(resolved: Resolved) -> str:
    """Return the size of a screen, and what is left out of it."""
    return "\n".join([resolved.size, *getattr(resolved, "notes", ())])


def show_screen(found: Screen, *, as_json: bool) -> None:
    """Print every arm of a screen: deployable ones, then oracles as bounds."""
    from attnscope.screens.board import WORDS, least, ordered, rows  # noqa: PLC0415 - loads numbers and strategies
    from attnscope.screens.sentences import screen_sentences  # noqa: PLC0415 - as above
    from attnscope.screens.wording import departure_words  # noqa: PLC0415 - as above

    results = found.results()
    table, words = rows(results), departure_words(results.policy.output)
    predicts = any(row.predicted_cost is not None for row in table)
    if as_json:
        tell(document({"arms": [asdict(row) for row in table], "said": screen_sentences(results)}))
        return
    for oracles, title in ((False, "Rules that could be deployed"), (True, "Oracles, as bounds: they save nothing")):
        mine = least(ordered(table, oracles=oracles, ranks=results.orders))
        for budget in dict.fromkeys(row.budget for row in mine):
            if sys.stdout.isatty():
                out.print(f"\n[bold]{title}, {_kept(budget)}[/bold]")
            shown = [row for row in mine if row.budget == budget]
            head = ("rule", "budget", "stands", "tokens", "departs", words.column, "signed", "attn", "time")
            show_table((*head, *(("cost",) if predicts else ())), [_cells(row) for row in shown])
    out.print("\n".join([words.legend, READ, *([COST] if predicts else []), WORDS]))
    for sentence in screen_sentences(results):
        out.print(escape(sentence))


def report_screen(found: Screen, folder: Path, asked: ReportAsked) -> list[str]:
    """Write a screen's table and figures into a folder."""
    asked.refuse_of_trials("screen")
    return _written(found, folder, asked.form)


def _written(found: Screen, folder: Path, form: str = "png") -> list[str]:
    from attnscope.report.screen import write_screen_report  # noqa: PLC0415 - loads matplotlib

    return [str(path) for path in write_screen_report(found.results(), folder, form)]


def _kept(budget: float | None) -> str:
    """Return a budget in words."""
    if budget is None:
        return "without a budget"
    return f"{budget:.0%} of the history" if isinstance(budget, float) else f"{budget} transitions"


def _cells(row: Row) -> tuple[str, ...]:
    between = f" ({row.per_episode_low:.2f}–{row.per_episode_high:.2f})"
    return (
        row.name,
        "–" if row.budget is None else _kept(row.budget).removesuffix(" of the history").removesuffix(" transitions"),
        row.positions,
        f"{row.tokens:.1f}",
        f"{row.per_episode:.2f}{between}",
        f"{row.tv_live:.3f}",
        "–" if row.signed is None else f"{row.signed:+.3f}",
        "–" if row.retained is None else f"{row.retained:.0%}",
        " / ".join("–" if isnan(of) else f"{of:.2f}" for of in (row.time_growing, row.time_full)),
        *(() if row.predicted_cost is None else (f"{row.predicted_cost:.2f}",)),
    )
