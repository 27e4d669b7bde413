"""The latents that a report's page holds of an environment: those of every compression, or of one in so many."""

from __future__ import annotations

from typing import Final

from attnscope.page.frames import Frame
from attnscope.page.latents import Shows, before_the_first, latents_of, why_none
from attnscope.page.subjects import Subject

VIEWS: Final[tuple[Shows, ...]] = ("traced", "looked")
"""Both pictures of a compression."""


def held_latents(subject: Subject, place: int, budget: int) -> tuple[list[Frame], str]:
    """Return the pictures of compressions that a page holds, and why there are none before the first of them.

    Parameters
    ----------
    place
        Of the environment among the stored ones.
    budget
        Bytes that they may take; where all do not fit, the newest and every n-th before it are held.
    """
    study = subject.latents(place)
    if (why := why_none(study)) is not None:
        return [], why
    count = len(study.compressions)
    if not count:
        return [], before_the_first(study)
    newest = [latents_of(study, count - 1, shows) for shows in VIEWS]
    each = max(1, sum(frame.shades.size for frame in newest))
    every = max(1, -(-count * each // max(budget, each)))
    numbers = range((count - 1) % every, count - 1, every)
    return [*(latents_of(study, one, shows) for one in numbers for shows in VIEWS), *newest], before_the_first(study)
