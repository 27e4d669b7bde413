"""A condition's numbers as one flat row, under names that tell value and interval apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from attnscope.measures.intervals import Estimate
from attnscope.trials.row import Row
from attnscope.trials.speed import speed_at


def flat(row: Row) -> dict[str, Any]:
    """Return a row's numbers under names that tell value and interval apart."""
    of, tasks, speed = row.condition, row.tasks, speed_at(row.speeds)
    line: dict[str, Any] = {
        "condition": of.index,
        "strategy": of.strategy,
        "text": of.text,
        "budget": of.budget,
        "positions": of.positions,
        "interval": of.interval,
        "memory": of.memory,
        "path": of.path,
        "control": of.control,
        "oracle": of.oracle,
        "verdict": row.verdict.word,
        "holds_jointly": row.verdict.jointly,
        "words": row.words,
        "decides": row.verdict.decides,
        "decides_far": row.verdict.decides_far,
        "decides_unit": row.verdict.unit if row.verdict.decides else None,
    }
    line |= _spread("kept", row.verdict.kept) | _spread("difference", row.difference)
    line |= _spread("retained", row.retained) | _spread("iqm", row.iqm)
    for phase, verdict in row.phases.items():
        line |= _spread(f"kept_{phase}", verdict.kept)
    line |= {"binds_from": row.binds_from} | _spread("kept_binding", None if row.binding is None else row.binding.kept)
    line |= _spread("share", row.share)
    line |= {"tokens": row.tokens, "bytes": row.bytes, "flops": row.flops, "flops_share": row.flops_share}
    for one in row.episodes_to:
        line[f"episodes_to_{one.level:.0%}".replace("%", "")] = one.episode
    line |= {"worst_task": tasks.worst, "worst_kept": tasks.kept[tasks.worst] if tasks.worst >= 0 else None}
    line |= {"tasks_succeeded": len(tasks.succeeded), "tasks_lost": len(tasks.lost), "pairing": row.pairing}
    line |= _spread("over_uniform", row.over_uniform) | _spread("over_random", row.over_random)
    if row.divergence is not None:
        line |= _spread("kl", row.divergence.kl) | {"kl_p95": row.divergence.kl_p95}
        line |= _spread("flips", row.divergence.flips) | _spread("departure", row.divergence.departure)
    for one_speed in row.speeds:
        line[f"speedup_{one_speed.phase}_{one_speed.envs}"] = one_speed.ratio
        line[f"steps_per_second_{one_speed.phase}_{one_speed.envs}"] = one_speed.per_second
    return line | {"speedup_claimed": None if speed is None else not of.oracle}


def _spread(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def cell(value: Any) -> Any:  # noqa: ANN401 - anything a cell holds
    """Return a value as a file of comma-separated values has it; what is not known is empty."""
    return "" if value is None or (isinstance(value, float) and not np.isfinite(value)) else value
