"""From a capture to what advice and predictions rest on: one reading, its measures, and decisions to predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from attnscope.capture import Capture
from attnscope.measures.refusals import NotMeasurableError
from attnscope.recommendations.decisions import Decisions, decide, joined
from attnscope.recommendations.evidence import Evidence, Gathering
from attnscope.recommendations.predictions import Prediction, predictions
from attnscope.recommendations.reading import Reading, read
from attnscope.recommendations.scoring import PredictionScore, score
from attnscope.trials.results import TrialResults

HISTORIES: Final = 1024
"""Decisions that are predicted, over all rollouts, about; it bounds memory and time whatever the capture's size."""

USUAL: Final = 160
"""Tokens of a context up to which so many are predicted; rules that compare entries take the square of their number."""

FEWEST, MOST = 4, 64
"""Predicted decisions of one rollout, at least and at most."""


@dataclass(frozen=True, eq=False)
class Basis:
    """What was read of a capture."""

    reading: Reading
    evidence: Evidence
    decisions: Decisions

    def predict(self, results: TrialResults) -> tuple[list[Prediction], dict[str, str]]:
        """Return what this capture predicts of a trial's conditions, and why each other one has no prediction.

        Raises
        ------
        NotMeasurableError
            The trial is of another checkpoint.
        """
        own = self.reading.capture.resolved
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


def gather(
    capture: Capture, *, full: bool = False, envs: tuple[int, ...] | None = None, steps: int | None = None
) -> Basis:
    """Read a capture once.

    Parameters
    ----------
    full
        Read the rows of every step for the measures, not a sample.
    envs
        Places among the stored environments that count; None takes all.
    steps
        Only so many environment steps from the beginning count; None takes all that is committed.

    Raises
    ------
    NotCapturedError
        The capture has no decision rows, or none yet, or lacks an environment that is asked for.
    """
    rollouts = capture.rows.shape[1] if "attention/rows" in capture.names() else 1
    rollouts = rollouts if envs is None else max(1, len(envs))
    histories = HISTORIES * min(1.0, (USUAL / capture.policy.context_length) ** 2)
    targets = int(np.clip(histories // rollouts, FEWEST, MOST))
    reading = read(capture, targets, full=full, envs=envs, steps=steps)
    gathering, parts = Gathering(reading), []
    for block in reading.blocks():
        gathering.add(block)
        if len(block.targets):
            parts.append(decide(block, reading.labels, reading.layout))
    return Basis(reading, gathering.evidence, joined(parts))
