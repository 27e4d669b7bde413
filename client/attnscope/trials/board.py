"""Every number of every condition, side by side, as a table for people and for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attnscope.documents import document
from attnscope.measures.intervals import RESAMPLES, Estimate, Scope
from attnscope.trials.bootstrap import PairedBootstrap
from attnscope.trials.columns import cell, flat
from attnscope.trials.costs import (
    context_bytes,
    divergence,
    effective_budget,
    operations,
    pairing,
    tokens,
)
from attnscope.trials.learning import episodes_to
from attnscope.trials.outside import OutsideArm
from attnscope.trials.phases import PHASES, Phase, binds_from, episodes_of
from attnscope.trials.reach import reach_words
from attnscope.trials.recipes import ArmOfRecipe, arms_of_recipes
from attnscope.trials.results import TrialResults
from attnscope.trials.row import Row
from attnscope.trials.scores import difference, iqm, over_blind, retained, task_losses
from attnscope.trials.speed import speeds
from attnscope.trials.verdicts import Verdict, judge, judge_all


@dataclass(frozen=True, eq=False)
class Board:
    """All conditions of a trial; row 0 is the uncompressed rollout."""

    results: TrialResults
    bootstrap: PairedBootstrap
    rows: tuple[Row, ...]
    recipes: tuple[ArmOfRecipe, ...] = ()
    """Arms over the training seeds of their recipes; none where no arm is of a recipe."""
    outside: tuple[OutsideArm, ...] = ()
    """Arms that another program ran: returns alone, without an interval."""

    @property
    def reach(self) -> str:
        """Sentence on how far the verdicts reach."""
        return reach_words(self.results, self.bootstrap.scope)

    def csv(self) -> str:
        """Return the table, a line a condition; what is not known is empty."""
        whose = [self.results.whose(row.condition.index) for row in self.rows]
        lines = [flat(row) | of | {"reach": self.reach} for row, of in zip(self.rows, whose, strict=True)]
        lines += [one.flat() for one in self.outside]
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys(name for line in lines for name in line)), restval="")
        writer.writeheader()
        writer.writerows({name: cell(value) for name, value in line.items()} for line in lines)
        return text.getvalue()

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        results = self.results
        return {
            "job": results.job,
            "checkpoint": results.resolved.checkpoint_name,
            "environment": results.resolved.environment_id,
            "complete": results.complete,
            "margin": results.spec.margin,
            "scope": self.bootstrap.scope,
            "reach": self.reach,
            "seeds": results.seeds,
            "tasks": list(results.task_names),
            "spec": results.spec.model_dump(mode="json"),
            "conditions": [_nested(row) for row in self.rows],
            **({"recipes": [one.to_json() for one in self.recipes]} if self.recipes else {}),
            **({"imported_returns": [one.to_json() for one in self.outside]} if self.outside else {}),
        }

    def json(self) -> str:
        """Return the JSON document."""
        return document(self.to_json())


def board(
    results: TrialResults,
    scope: Scope = "these tasks",
    samples: int = RESAMPLES,
    *,
    outside: Sequence[OutsideArm] = (),
) -> Board:
    """Return every measure of every committed condition.

    Parameters
    ----------
    scope
        What the intervals claim: these tasks, or tasks like them.
    samples
        Bootstrap samples.
    outside
        Arms that another program ran, which stand beside the conditions.
    """
    bootstrap = PairedBootstrap(results.seeds, len(results.tasks), scope, samples)
    verdicts = judge_all(results, bootstrap)
    return Board(
        results,
        bootstrap,
        tuple(_row(results, bootstrap, index, verdict) for index, verdict in enumerate(verdicts)),
        arms_of_recipes(results, bootstrap),
        tuple(outside),
    )


def _row(results: TrialResults, bootstrap: PairedBootstrap, place: int, verdict: Verdict) -> Row:
    flops, flops_share = operations(results, place)
    first = binds_from(results, place)
    binding = judge(results, place, bootstrap, first=first) if 0 < first < results.spec.episodes else None
    apart: list[Phase] = [phase for phase in PHASES if phase != "all" and episodes_of(results, phase).any()]
    return Row(
        results.conditions[place],
        verdict,
        {phase: judge(results, place, bootstrap, phase) for phase in apart},
        first,
        binding,
        difference(results, place, bootstrap),
        retained(results, place, bootstrap),
        iqm(results, place, bootstrap),
        episodes_to(results, place, bootstrap),
        task_losses(results, place),
        effective_budget(results, place, bootstrap),
        tokens(results, place),
        context_bytes(results, place),
        flops,
        flops_share,
        divergence(results, place, bootstrap),
        speeds(results, place),
        pairing(results, place),
        over_blind(results, place, bootstrap, "uniform"),
        over_blind(results, place, bootstrap, "random"),
    )


def _nested(row: Row) -> dict[str, Any]:
    plain = {name: value for name, value in vars(row).items() if isinstance(value, int | float)}
    estimates = {name: dict(vars(value)) for name, value in vars(row).items() if isinstance(value, Estimate)}
    return {
        "condition": row.condition.model_dump(mode="json"),
        "verdict": _judged(row.verdict),
        "phases": {phase: _judged(verdict) for phase, verdict in row.phases.items()},
        "binding": None if row.binding is None else _judged(row.binding),
        **plain,
        **estimates,
        "episodes_to": [vars(one) for one in row.episodes_to],
        "tasks": vars(row.tasks),
        "divergence": None
        if row.divergence is None
        else {
            name: dict(vars(value)) if isinstance(value, Estimate) else value
            for name, value in vars(row.divergence).items()
        },
        "speeds": [{**vars(one), "per_second": one.per_second} for one in row.speeds],
    }


def _judged(verdict: Verdict) -> dict[str, Any]:
    return {**vars(verdict), "kept": dict(vars(verdict.kept)), "unit": verdict.unit, "words": verdict.words}
