"""The use of one part of the history: decisions without one band of ages, without one transition, without one episode.

A transition's age is how many transitions ago it was made; the newest has age 1. Each band, each drawn transition and
each episode is left out by itself, and everything else is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from attnscope_server.screening.bands import Ages
from attnscope_server.screening.contexts import Contexts, Placed
from attnscope_server.screening.keeping import Frame, Kept

Measure = Callable[[Float[Tensor, "decision action"], Float[Tensor, "part decision action"]], Float64[Tensor, "..."]]
"""Departures of decisions, from the uncompressed logits and the others'."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The contents of the arrays by age, [part, decision]; NaN where a decision's window has nothing of the part."""

    bands: Float64[Tensor, "band decision"]
    """Departure without a band."""
    single: Float64[Tensor, "band decision"]
    """Departure without one transition of a band, drawn by chance."""
    episodes: Float64[Tensor, "episode decision"]
    """Departure without an episode, the decision's own first."""
    widths: Int[Tensor, "band decision"]
    """Transitions of a band in the decision's window."""
    gone: Bool[Tensor, "band decision column"]
    """The transitions of each band."""


def parts_of(frame: Frame, contexts: Contexts, ages: Ages, measure: Measure) -> Parts:
    """Return how every decision of a frame departs without each part of its history.

    Parameters
    ----------
    ages
        The parts.
    measure
        Departures of decisions.
    """
    age = frame.moments.step[:, None] - frame.transition
    gone = torch.stack([frame.window & (age >= first) & (age <= last) for first, last in ages.bands])
    back = _back(frame)
    of_episode = [frame.window & (back == number) for number in range(ages.episodes)]
    dropped = [*gone, *_one_of_each(frame, gone), *of_episode]
    kept = [frame.window & ~part for part in dropped]
    logits = contexts.logits([Placed(Kept(stands, stands), ages.positions) for stands in kept])
    found = measure(contexts.full, logits)
    there = torch.stack([part.any(dim=1) for part in dropped])
    found = torch.where(there, found, torch.nan)
    many = len(ages.bands)
    return Parts(found[:many], found[many : 2 * many], found[2 * many :], gone.sum(dim=2), gone)


def _back(frame: Frame) -> Int[Tensor, "decision column"]:
    """Return how many episodes ago each column's transition was made."""
    block, rollout = frame.block, frame.moments.rollout
    own = block.episode[rollout, frame.moments.step]
    return own[:, None] - block.episode[rollout[:, None], frame.transition.clamp(max=block.steps - 1)]


def _one_of_each(frame: Frame, gone: Bool[Tensor, "band decision column"]) -> Iterator[Bool[Tensor, "decision column"]]:
    """Yield one transition of each band, drawn by the rollout's own number."""
    draws = _draws(frame, len(gone))
    for number, part in enumerate(gone):
        many = part.sum(dim=1)
        place = torch.minimum((draws[:, number] * many).long(), (many - 1).clamp(min=0))
        yield part & (part.cumsum(dim=1) - 1 == place[:, None])


def _draws(frame: Frame, bands: int) -> Float64[Tensor, "decision band"]:
    """Return a number below 1 for every decision and band; those of a rollout do not depend on the others."""
    rollout = frame.moments.rollout.cpu().numpy()
    drawn = np.zeros((len(rollout), bands))
    for number, lane in enumerate(frame.block.lanes.tolist()):
        mine = np.flatnonzero(rollout == number)
        drawn[mine] = np.random.default_rng(lane).random((len(mine), bands))
    return torch.from_numpy(drawn).to(frame.block.device)
