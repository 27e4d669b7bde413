"""Verbs that draw everything: a report, a comparison, and captures of other programs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

import attnscope
from attnscope.cli.address import connect
from attnscope.cli.app import Json, app, out, say
from attnscope.cli.arms import Returns, named_files
from attnscope.cli.narrowing import Cells, Environments, Length, Places
from attnscope.cli.verbs.advice import beside as find
from attnscope.kinds.view import view_of
from attnscope_storage.wire.contract import imported

if TYPE_CHECKING:
    from attnscope.capture import Capture
    from attnscope.measures.intervals import Scope
    from attnscope.service import Service
    from attnscope.trials.trial import Trial

Jobs = Annotated[list[str] | None, typer.Argument(help="Ids, unique prefixes of ids, or 'last'.")]
Sources = Annotated[list[Path] | None, typer.Option("--capture", help="A downloaded capture; repeat for several.")]
Folder = Annotated[Path, typer.Option("--out", help="Folder.")]
Full = Annotated[bool, typer.Option("--full", help="Read the rows of every step instead of a stated sample.")]


Paper = Annotated[bool, typer.Option("--paper", help="PDF at the width of a column, 3.25 in, fonts embedded.")]


@dataclass(frozen=True)
class Asked:
    """The options of ``report``, whatever the kind of what it reports."""

    environments: Environments
    steps: int | None
    heatmaps: int
    predictions: str | None
    """Of a trial: a capture, as a job or a folder, whose predictions are scored."""
    form: str
    full: bool
    wider: bool
    quiet: bool
    decision: str | None = None
    """Of a capture: a decision on its policy, as a job or a folder; None takes the service's newest."""
    screen: str | None = None
    """Of a capture: a screen, likewise."""
    service: Service | None = None
    """The service behind the jobs that are reported; None where all was downloaded."""
    paper: bool = False
    """Of a trial with arms: its figure for a paper."""
    returns: Mapping[str, Path] | None = None
    """Of a trial: files of returns of other programs, by the names of their arms."""

    def refuse_of_trials(self, kind: str) -> None:
        """Refuse the options that only trials have: a figure for a paper, and imported returns."""
        if self.paper:
            raise typer.BadParameter(
                "drawn for a paper are a trial with arms, and compare of a run", param_hint="--paper"
            )
        if self.returns:
            raise typer.BadParameter(f"stand beside a trial's conditions, not a {kind}", param_hint="--returns")

    def tell(self, path: Path) -> None:
        """Say that a file is written."""
        if not self.quiet:
            _tell(path)


@app.command()
def report(
    job: Jobs = None,
    to: Folder = Path("report"),
    source: Sources = None,
    heatmaps: Annotated[int, typer.Option(min=0, help="Sample heatmaps, evenly spaced.")] = 5,
    steps: Length = None,
    envs: Places = None,
    goal: Cells = None,
    form: Annotated[str, typer.Option("--format", help="Of the figures: png, svg or pdf.")] = "png",
    full: Full = False,
    trial: Annotated[list[Path] | None, typer.Option(help="A downloaded trial; repeat for several.")] = None,
    predictions: Annotated[
        str | None,
        typer.Option(help="Of a trial: score the predictions of this capture, a job or a downloaded one."),
    ] = None,
    wider: Annotated[bool, typer.Option("--wider", help="Of a trial: intervals for tasks like these, too.")] = False,
    screen: Annotated[
        str | None, typer.Option(help="Of a capture: a screen, job or folder; default: its newest.")
    ] = None,
    decision: Annotated[
        str | None, typer.Option(help="Of a capture: a decision on its policy, job or folder; default: the newest.")
    ] = None,
    paper: Paper = False,
    returns: Returns = None,
    as_json: Json = False,
) -> None:
    """Write every figure, the text and one offline page of captures or trials, also of running ones.

    With --paper, of a trial with arms: the figure alone, as PDF at the width of a column, its caption in the metadata.
    """
    from attnscope.figures.style import FORMATS  # noqa: PLC0415 - loads matplotlib

    if form not in FORMATS:
        raise typer.BadParameter(f"expected one of {', '.join(FORMATS)}, got {form!r}", param_hint="--format")
    narrowed = Environments(envs, goal)
    written: list[str] = []
    with ExitStack() as stack:
        service = stack.enter_context(connect()) if job or not (source or trial) else None
        asked = Asked(
            narrowed, steps, heatmaps, predictions, form, full, wider, as_json, decision, screen, service, paper,
            named_files(returns),
        )  # fmt: skip
        found = find_stored(service, job, source, trial)
        for stored in found:
            folder = to if len(found) == 1 else to / stored.job[:8]
            written += imported(view_of(stored.kind).report)(stored, folder, asked)
    if as_json:
        say({"files": written})


@app.command("import")
def import_capture(
    file: Annotated[
        Path,
        typer.Argument(help="attention_history.pkl of the reference, or own attention: .npz, .npy or a torch file."),
    ],
    to: Annotated[Path | None, typer.Option("--out", help="New folder; default beside the file.")] = None,
    rewards: Annotated[
        Path | None, typer.Option(help="Of the reference: attention_data.npz; default the one beside the file.")
    ] = None,
    maps: Annotated[int, typer.Option(min=0, help="Of the reference: whole maps to keep, evenly spaced.")] = 5,
    name: Annotated[str | None, typer.Option(help="Name of the policy.")] = None,
    lengths: Annotated[
        Path | None, typer.Option(help="Of a file of rows alone: the .npy file of the context lengths.")
    ] = None,
    causal: Annotated[
        bool | None, typer.Option("--causal/--non-causal", help="Of arrays: mask of the policy; default unknown.")
    ] = None,
    query: Annotated[str, typer.Option(help="Of arrays: slot of the deciding query, last or first.")] = "last",
    tokens: Annotated[int, typer.Option("--tokens-per-transition", min=1, help="Of arrays.")] = 1,
    as_json: Json = False,
) -> None:
    """Read attention of another program into a capture; nothing in the file is executed.

    Arrays are named rows [step, env, layer, head, slot], lengths [step, env], and where known rewards, episodes and
    actions [step, env], returns [env, episode] and tasks [env]; the env axis may be left out where there is one.
    """
    from attnscope.foreign import import_file  # noqa: PLC0415 - loads zarr

    if query not in ("last", "first"):
        raise typer.BadParameter(f"expected last or first, got {query!r}", param_hint="--query")
    target = to or file.with_suffix(".zarr")
    import_file(
        file,
        target,
        rewards=rewards,
        lengths=lengths,
        maps=maps,
        name=name,
        causal=causal,
        query_slot="first" if query == "first" else "last",
        tokens_per_transition=tokens,
    )
    say({"path": str(target)}) if as_json else out.print(f"wrote {escape(str(target))}")


def find_stored(
    service: Service | None, jobs: list[str] | None, captures: list[Path] | None, trials: list[Path] | None
) -> list[Any]:
    """Return what jobs and folders name; the last job's where nothing is named.

    Parameters
    ----------
    service
        None where no job is asked for.
    """
    stored = [attnscope.open(path) for path in captures or []] + [attnscope.open_trial(path) for path in trials or []]
    if service is None:
        return stored
    handles = [service.job(name) for name in jobs or ["last"]]
    return [one.stored() for one in handles] + stored


def report_capture(capture: Capture, folder: Path, asked: Asked) -> list[str]:
    """Write the report of a capture."""
    from attnscope.recommendations.beside import beside_of  # noqa: PLC0415 - loads zarr
    from attnscope.report import write_report  # noqa: PLC0415 - loads matplotlib
    from attnscope.study import Choice  # noqa: PLC0415 - as above

    asked.refuse_of_trials("capture")
    if not asked.quiet:
        how_far = capture.origin.condition
        out.print(f"{capture.job[:8]}  {capture.steps_committed} of {capture.resolved.steps} steps, {how_far}")
    envs = asked.environments.of(capture)
    choice = Choice(envs=envs, steps=asked.steps, heatmaps=asked.heatmaps, full=asked.full)
    beside = beside_of(
        capture, *find(None if capture.on_disk else asked.service, capture, asked.decision, asked.screen)
    )
    files = write_report(capture, folder, choice, form=asked.form, tell=asked.tell, beside=beside)
    return [str(path) for path in files]


def report_trial(trial: Trial, folder: Path, asked: Asked) -> list[str]:
    """Write the report of a trial, with the score of a capture's predictions if one is named."""
    from attnscope.report.trial import write_trial_report  # noqa: PLC0415 - loads matplotlib

    if asked.paper:
        from attnscope.report.paper import write_for_paper  # noqa: PLC0415 - as above

        return [str(path) for path in write_for_paper(trial.results(), folder, asked.tell, returns=asked.returns)]
    capture = None
    if asked.predictions is not None:
        path = Path(asked.predictions)
        capture = attnscope.open(path) if path.is_dir() else connect().job(asked.predictions).capture()
    scope: Scope = "beyond these tasks" if asked.wider else "these tasks"
    files = write_trial_report(
        trial.results(),
        folder,
        capture=capture,
        scope=scope,
        form=asked.form,
        returns=asked.returns,
        tell=asked.tell,
    )
    return [str(path) for path in files]


def _tell(path: Path) -> None:
    out.print(f"wrote {escape(str(path))}")
