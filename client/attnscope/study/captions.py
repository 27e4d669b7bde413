"""Captions and titles of a study's figures: the provenance, the rows that were read, and the meaning of the bands."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attnscope.study.study import Study
from attnscope_storage.ages import BINS, EXACT_AGES
from attnscope_storage.shades import U8_ERROR

FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "f16": "",
        "u8": f" (one byte a weight, error up to {U8_ERROR:.1g})",
        "bins": f" (age bins: a weight older than {EXACT_AGES} tokens is its bin's mean, so attention looks flatter)",
    }
)
"""Words about rows by their form: what was lost when they were stored."""


def caption_of_study(study: Study) -> str:
    """Return the provenance of a study's figures, with what was read and what the bands are."""
    bands = "no interval: nothing can be resampled"
    if study.resampling.informative:
        unit = "rollouts within task" if study.resampling.scope == "these tasks" else "tasks"
        bands = f"bands: 95 %, resampling {unit}"
        bands += " and the error of sampled steps" if study.sampled else ""
        bands += "" if study.resampling.reliable else ", unreliable (under 10 rollouts a task)"
    counted = f"means at contexts of {study.least}+ tokens" if study.least > 1 else "means at every context"
    envs = f"{len(study.envs)} environment{'s' if len(study.envs) > 1 else ''}"
    origin = study.capture.origin
    return f"{origin.source}\n{origin.progress}; {envs}; {rows_of(study)}; {counted}; {bands}"


def rows_of(study: Study) -> str:
    """Return the decision rows that were read, in words."""
    plan = study.reading.plan
    if plan is None:
        return "statistics of every step, no rows captured"
    form = FORMS[study.capture.row_form]
    if study.capture.row_form == "bins" and study.capture.policy.context_length <= BINS:
        form = " (age bins of one token each)"
    read, heads = plan.rows_read, plan.head_rows_read if plan.heads is None else len(plan.heads)
    if plan.whole:
        return f"statistics of every step, rows{form} of {read} of {study.steps} steps"
    some = "" if len(plan.envs) == len(study.envs) else f" of {len(plan.envs)} environments"
    mean = f"mean rows{form} of {read} of {study.steps} steps"
    return f"statistics of every step, {mean}, each head's rows of {heads}{some}"


def title_of(study: Study, what: str) -> str:
    """Return a figure's title."""
    return f"{what} · {study.capture.resolved.checkpoint_name} · job {study.capture.job[:8]}"
