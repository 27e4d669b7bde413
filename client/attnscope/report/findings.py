"""What a study shows, in sentences; each number is one that a figure draws."""

from __future__ import annotations

import numpy as np

from attnscope.figures.potential import MARKS, even_curve, positions_for
from attnscope.figures.provenance import caption_of_study
from attnscope.measures.intervals import Interval
from attnscope.report.uniformity import uniformity
from attnscope.study import Study
from attnscope.study.tally import RECENT


def findings(study: Study) -> list[str]:
    """Return sentences about a study, warnings first."""
    said = uniformity(study).sentences()
    if study.returns is not None and study.returns.shape[1]:
        by_episode = study.interval(study.returns)
        first, last = _number(by_episode, 0), _number(by_episode, -1)
        said.append(f"Return: {first} in the first episode, {last} in episode {study.returns.shape[1]}.")
    said += (
        _attention(study) if study.tally else ["Decision rows were not captured, so attention by position is unknown."]
    )
    if "entropy" in study.statistics:
        spread = study.mean(study.statistics["entropy"])
        least, most = (
            np.unravel_index(np.nanargmin(spread), spread.shape),
            np.unravel_index(np.nanargmax(spread), spread.shape),
        )
        said.append(
            f"Normalised entropy: {np.nanmean(spread):.2f} on average (1 is uniform); least in layer {least[0]} head "
            f"{least[1]} ({spread[least]:.2f}), most in layer {most[0]} head {most[1]} ({spread[most]:.2f})."
        )
    return said


def _attention(study: Study) -> list[str]:
    assert study.tally is not None  # noqa: S101 - the caller looked
    masses = np.concatenate(study.tally.masses)
    counts = (study.length[study.row_steps] >= study.least)[..., None]
    total = np.where(counts, masses, 0).sum(axis=0)
    mean = np.divide(total, counts.sum(axis=0), out=np.full(total.shape, np.nan), where=counts.sum(axis=0) > 0)
    parts, tokens = study.interval(mean), study.tokens
    even = min(RECENT, tokens - 1) / tokens
    pooled = np.asarray(study.mean(study.tally.pooled.mean))
    fixed = np.sort(study.mean(study.tally.averaged))[::-1].cumsum()
    uniform = even_curve(study.lengths, len(fixed))
    kept = " and ".join(
        f"{share:.0%} in {positions_for(pooled, share)} chosen at every step or {positions_for(fixed, share)} fixed "
        f"ones (uniform: {positions_for(uniform, share)})"
        for share in MARKS
    )
    recency = (
        f"Recency: the newest {RECENT} tokens hold {_number(parts, 0)} of the attention at contexts of {study.least}+ "
        f"tokens; uniform attention would give them {even:.3f}. The query's own slot holds {_number(parts, 2)} "
        f"(uniform {1 / tokens:.3f})."
    )
    longest = int(study.length.max())
    of = f"{longest}" if study.least == longest else f"{study.least} to {longest}"
    return [recency, f"Positions that hold the attention of the mean row, of {of}: {kept}."]


def _number(interval: Interval, place: int) -> str:
    value, low, high = (float(part[place]) for part in (interval.value, interval.low, interval.high))
    if not np.isfinite(low):
        return f"{value:.3g} (no interval)"
    unsure = "" if interval.reliable else ", unreliable"
    return f"{value:.3g} ({low:.3g} to {high:.3g}{unsure})"


def findings_text(study: Study) -> str:
    """Return the sentences as a text with their provenance."""
    lines = ["What the attention looks like, for this checkpoint and these tasks", caption_of_study(study), ""]
    return "\n".join([*lines, *(f"- {sentence}" for sentence in findings(study))]) + "\n"
