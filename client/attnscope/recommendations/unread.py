"""Advice on a capture without decision rows: what a decision or a screen beside it says, and nothing of attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attnscope.recommendations.beside import Beside
from attnscope.recommendations.claims import Claim
from attnscope.recommendations.gate import Gate
from attnscope.recommendations.lead import lead_of, why_unproposed
from attnscope.recommendations.measured import conditions, lead_of_trials
from attnscope.recommendations.proposing import proposed
from attnscope.recommendations.results import MeasuredTrial
from attnscope.recommendations.screened import Best
from attnscope.recommendations.sentences import notes, source_of
from attnscope.recommendations.table import Table, screen_table
from attnscope.recommendations.text import Advice
from attnscope.study import Study
from attnscope.trials.results import TrialResults

NO_RULES: Final = Table("", (), ())
"""The table where no rule is known of."""


def advice_beside(
    read: Study,
    why: str,
    gate: Gate,
    beside: Beside,
    best: list[Best],
    trials: Sequence[MeasuredTrial | TrialResults],
) -> Advice:
    """Return advice that rests on a decision or a screen alone.

    Parameters
    ----------
    why
        The reason for which nothing is known of attention.
    best
        Every deployable rule of the screen at its best count and positions; empty without a screen.
    """
    capture, known, screen = read.capture, conditions(trials), beside.screen
    ranked = gate.ranks and screen is not None and screen.orders
    return Advice(
        checkpoint=capture.resolved.checkpoint_name,
        environment=capture.resolved.environment_id,
        job=capture.job,
        verdict="not read",
        lead=lead_of(capture, gate, beside, best),
        table=screen_table(best, known, capture.policy.output, ranked=ranked, decided=beside.answered)
        if best
        else NO_RULES,
        headline=(Claim("attention.unread", f"Nothing is said of attention: {why}."),),
        basis=(source_of(read),),
        patterns=(),
        recommendations=(),
        not_applicable={},
        notes=notes(capture.policy),
        proposal=proposed(gate, screen, best, (), why_unproposed(capture.policy, screen)),
        measured=lead_of_trials(trials),
    )
