"""The basis of advice and predictions: the measures of a study, and the decisions that its reading judges."""

from __future__ import annotations

from dataclasses import dataclass

from attnscope.errors import NotCapturedError
from attnscope.measures.refusals import NotMeasurableError
from attnscope.recommendations.attention.decisions import Decisions, decide, joined
from attnscope.recommendations.attention.predictions import Prediction, predictions
from attnscope.recommendations.attention.scoring import PredictionScore, score
from attnscope.study import Study
from attnscope.trials.results import TrialResults


@dataclass(frozen=True, eq=False)
class Basis:
    """The measures of a capture, and decisions to predict, of one reading."""

    study: Study
    decisions: Decisions

    def predict(self, results: TrialResults) -> tuple[list[Prediction], dict[str, str]]:
        """Return what this capture predicts of a trial's conditions, and why each other one has no prediction.

        Raises
        ------
        NotMeasurableError
            The trial is of another checkpoint.
        """
        own = self.study.capture.resolved
        if own.checkpoint_id != results.resolved.checkpoint_id:
            raise NotMeasurableError(
                f"expected a trial of the capture's checkpoint {own.checkpoint_name}, got one of "
                f"{results.resolved.checkpoint_name}"
            )
        return predictions(results, self.decisions)

    def score(self, results: TrialResults) -> PredictionScore:
        """Return how well this capture's predictions fit a trial of the same checkpoint.

        Raises
        ------
        NotMeasurableError
            The trial is of another checkpoint, has too few conditions to rank, or its cost has no scale.
        """
        return score(results, *self.predict(results))


def unread(study: Study) -> str | None:
    """Return why nothing is known of attention; None where decision rows are there."""
    if study.capture.row_form == "none":
        return "recommendations rest on decision rows, which this job did not store"
    return "no decision row is committed yet" if study.reading.plan is None else None


def _more(study: Study) -> str:
    """Return what a reader may do where no decision row is there."""
    if study.capture.row_form != "none":
        return "wait until the job has made its first steps"
    screened = f"attnscope screen {study.capture.job} judges the rules that look at no attention"
    return f"submit with --rows, or screen it: {screened}"


def gather(study: Study) -> Basis:
    """Return the basis of advice: the decisions that a study's reading judges, beside its measures.

    Raises
    ------
    NotCapturedError
        The capture has no decision rows, or none yet.
    NotMeasurableError
        The policy's context, or every one so far, is its query alone.
    """
    reading = study.reading
    if (why := unread(study)) is not None or reading.plan is None:
        raise NotCapturedError(f"{why}: {_more(study)}")
    if study.capture.policy.context_length == 1:
        raise NotMeasurableError("contexts of this policy hold the query alone: there is nothing to drop")
    if reading.size.slots == 1:
        raise NotMeasurableError("every context so far is the query alone: there is no history yet to choose from")
    parts = [decide(burst, reading) for burst in reading.bursts() if len(burst.targets)]
    return Basis(study, joined(parts, reading.plan.judged))
