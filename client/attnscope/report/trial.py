"""The report of a trial: every figure, the table, the sentences and one page, in one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from attnscope.capture import Capture
from attnscope.documents import document
from attnscope.figures.style import save
from attnscope.figures.trials.arms import trial_arms
from attnscope.figures.trials.curves import trial_curves
from attnscope.figures.trials.kept_timeline import PANELS, kept_timeline
from attnscope.figures.trials.pareto import pareto
from attnscope.figures.trials.predicted import predicted
from attnscope.figures.trials.table import trial_table
from attnscope.figures.trials.words import positions_of
from attnscope.foreign.returns import outside_arms
from attnscope.measures.intervals import Scope
from attnscope.recommendations.attention.basis import gather
from attnscope.recommendations.attention.predictions import Prediction
from attnscope.recommendations.attention.scoring import PredictionScore, score
from attnscope.recommendations.measured import score_claims
from attnscope.report.report import small_png
from attnscope.report.trial_findings import trial_text
from attnscope.report.trial_page import trial_page
from attnscope.study import study
from attnscope.trials.board import Board, board
from attnscope.trials.results import TrialResults
from attnscope.trials.row import Row
from attnscope.trials.selection import Winner, winner


def write_trial_report(
    results: TrialResults,
    out: Path,
    *,
    capture: Capture | None = None,
    scope: Scope = "these tasks",
    form: str = "png",
    returns: Mapping[str, Path] | None = None,
    tell: Callable[[Path], None] = lambda _path: None,
) -> list[Path]:
    """Write the report of a trial, also of a running one, and return the files.

    Parameters
    ----------
    out
        Folder, made where it does not exist.
    capture
        Of the same checkpoint: its predictions are scored by the trial.
    scope
        What the intervals claim: these tasks, or tasks like them.
    form
        Of the figures: png, svg or pdf.
    returns
        Files of returns of other programs, [env, episode], by the names of their arms.
    tell
        Called with each file as it is there.

    Raises
    ------
    NotMeasurableError
        The capture's predictions cannot be scored by this trial, or the returns are not of its tasks and episodes.
    ForeignFileError
        A file holds no returns.
    """
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def keep(path: Path) -> None:
        written.append(path)
        tell(path)

    measured = board(results, scope, outside=outside_arms(results, returns or {}))
    won = winner(results, scope)
    scored = None if capture is None else _Scored.of(capture, results)
    shown: dict[str, bytes] = {}
    for name, title, figure in _figures(measured, won, scored):
        path = save(figure, out / f"{name}.{form}")
        keep(path)
        shown[title] = small_png(figure, path)
    sentences = [] if scored is None else [claim.sentence for claim in score_claims(scored.score)]
    texts = {
        "trial_conditions.csv": measured.csv(),
        "trial_conditions.json": measured.json(),
        "trial_findings.txt": trial_text(measured, won, sentences),
        "trial_report.html": trial_page(measured, won, shown, sentences),
    }
    if scored is not None:
        texts["trial_predictions.json"] = document(scored.score.to_json())
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
        keep(out / name)
    return written


@dataclass(frozen=True, eq=False)
class _Scored:
    """The predictions of a capture, and their fit."""

    found: list[Prediction]
    score: PredictionScore

    @classmethod
    def of(cls, capture: Capture, results: TrialResults) -> _Scored:
        found, refused = gather(study(capture)).predict(results)
        return cls(found, score(results, found, refused))


def _figures(measured: Board, won: Winner | None, scored: _Scored | None) -> Iterator[tuple[str, str, Figure]]:
    """Yield file name, title and figure."""
    if len(measured.rows) == 1:
        return  # only the uncompressed rollout is there by now
    if measured.results.has_arms:
        yield "trial_arms", "Gain kept by arm", trial_arms(measured)
        return
    if any(row.condition.budget is not None for row in measured.rows):
        yield "trial_pareto", "What compression buys and costs", pareto(measured)
        yield "trial_table", "Gain kept by strategy and budget", trial_table(measured)
    if scored is not None:
        yield "trial_predictions", "Predicted against measured", predicted(measured, scored.found, scored.score)
    for positions in positions_of(measured):
        title = f"Learning curves, positions {positions}"
        yield f"trial_curves_{positions}", title, trial_curves(measured, positions)
    if "kept/first" in measured.results.arrays:
        yield "trial_kept", "What is kept in view", kept_timeline(measured, shown_rows(measured, won))


def shown_rows(measured: Board, won: Winner | None) -> list[Row]:
    """Return the conditions whose kept transitions are drawn: those of the winner's budget, best first."""
    rows = measured.rows[1:]
    like = measured.rows[won.condition].condition if won is not None else rows[len(rows) // 2].condition
    same = [row for row in rows if (row.condition.budget, row.condition.positions) == (like.budget, like.positions)]
    first = [row for row in same if row.condition.index == like.index]
    others = [row for row in same if row.condition.index != like.index]
    return (first + sorted(others, key=lambda row: -row.verdict.kept.value))[:PANELS]
