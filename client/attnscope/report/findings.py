"""The findings of a study, in sentences; each number is one that a figure draws."""

from __future__ import annotations

from textwrap import fill
from typing import Final

import numpy as np

from attnscope.figures.potential import fixed_curve, positions_for
from attnscope.measures.intervals import Interval
from attnscope.reading.blocks import LEVELS, RECENT
from attnscope.report.uniformity import uniformity
from attnscope.study import Study
from attnscope.study.captions import caption_of_study
from attnscope.study.latents import LatentStudy, holds_compressions, latent_sentences

WIDTH: Final = 110
"""Columns of the text."""


def findings(study: Study) -> list[str]:
    """Return sentences about a study, warnings first."""
    sentences = uniformity(study).sentences()
    if study.returns is not None and study.returns.shape[1]:
        by_episode = study.interval(study.returns)
        first, last = _number(by_episode, 0), _number(by_episode, -1)
        then = f", {last} in episode {study.returns.shape[1]}" if study.returns.shape[1] > 1 else ""
        sentences.append(f"Return: {first} in the first episode{then}.")
    sentences += [*_recency(study), *_packed(study)]
    sentences += (
        _positions(study) if study.tally else ["Decision rows were not captured, so attention by position is unknown."]
    )
    if "normalised_entropy" in study.statistics:
        spread = study.mean(study.statistics["normalised_entropy"])
        least, most = (
            np.unravel_index(np.nanargmin(spread), spread.shape),
            np.unravel_index(np.nanargmax(spread), spread.shape),
        )
        sentences.append(
            f"Normalised entropy: {_quantity(study, 'normalised_entropy')} on average (1 is uniform); least in layer "
            f"{least[0]} head {least[1]} ({spread[least]:.2f}), most in layer {most[0]} head {most[1]} "
            f"({spread[most]:.2f})."
        )
    return sentences


def _recency(study: Study) -> list[str]:
    recent, own = study.quantity(f"recency.{RECENT}"), study.quantity("self")
    if recent is None or own is None:
        return ["Recency is unknown: neither its statistic nor decision rows were captured."]
    even, own_even = recent.estimate.baseline or np.nan, own.estimate.baseline or np.nan
    newest = f"the newest {RECENT} tokens hold {_quantity(study, f'recency.{RECENT}')}"
    at = f"at contexts of {study.least}+ tokens; uniform attention would give them {even:.3f}"
    held = f"The query's own slot holds {_quantity(study, 'self')} (uniform {own_even:.3f})"
    return [f"Recency: {newest} of the attention {at}. {held}."]


def _packed(study: Study) -> list[str]:
    """Return the sentence on latents, where a policy packs its older history."""
    found = study.quantity("summary")
    if found is None:
        return []
    even = found.estimate.baseline or np.nan
    generations = int(np.asarray(study.capture.context.generation[: study.steps]).max())
    held = (
        f"{_quantity(study, 'summary')} of the attention (uniform {even:.3f}), after up to {generations} compressions"
    )
    rest = "Every share by position, age or place is of the attention that is not on latents."
    told = latent_sentences(LatentStudy(study.capture)) if holds_compressions(study.capture) else []
    return [f"Latents, which stand for all transitions before the newest compression, hold {held}. {rest}", *told]


def _positions(study: Study) -> list[str]:
    assert study.tally is not None  # noqa: S101 - the caller looked
    fixed = fixed_curve(study)
    shares = []
    for level in LEVELS:
        found = study.quantity(f"shared_positions.{level}")
        even = np.nan if found is None or found.estimate.baseline is None else found.estimate.baseline
        held = f"{_quantity(study, f'shared_positions.{level}')} of them chosen at every step (uniform {even:.3f})"
        shares.append(f"{level:.0%} in {held} or in {positions_for(fixed, level)} fixed ones")
    longest = int(study.length.max())
    of = f"{longest}" if study.least == longest else f"{study.least} to {longest}"
    return [f"Positions that hold the attention of the mean row, in contexts of {of}: {', '.join(shares)}."]


def _quantity(study: Study, name: str) -> str:
    """Return a quantity with its interval."""
    found = study.quantity(name)
    if found is None:
        return "unknown"
    one = found.estimate
    if not one.has_interval:
        return f"{one.value:.3g} (no interval)"
    return f"{one.value:.3g} ({one.low:.3g} to {one.high:.3g}{'' if one.reliable else ', unreliable'})"


def _number(interval: Interval, place: int) -> str:
    value, low, high = (float(part[place]) for part in (interval.value, interval.low, interval.high))
    if not np.isfinite(low):
        return f"{value:.3g} (no interval)"
    unsure = "" if interval.reliable else ", unreliable"
    return f"{value:.3g} ({low:.3g} to {high:.3g}{unsure})"


def findings_text(study: Study) -> str:
    """Return the sentences as a text with their provenance."""
    caption = [fill(line, WIDTH, break_long_words=False) for line in caption_of_study(study).splitlines()]
    lines = [
        fill(f"- {one}", WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for one in findings(study)
    ]
    return (
        "\n".join(["What the attention looks like, for this checkpoint and these tasks", *caption, "", *lines]) + "\n"
    )
