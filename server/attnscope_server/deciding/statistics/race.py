"""The race: successive halving of arms by paired rollouts on screening tasks; it ranks and never gives a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

FIRST_PAIRS = 4
"""Paired rollouts of every arm in the first round."""

ENOUGH_PAIRS = 16
"""Paired rollouts of every arm before a race may end with several arms left."""

CLEAR = 2.0
"""Standard errors of a paired difference by which an arm clearly beats another."""


@dataclass(frozen=True)
class Round:
    """One round of a race: the arms that remain, and the index range of their paired rollouts."""

    arms: tuple[str, ...]
    first: int
    last: int

    @property
    def rollouts(self) -> int:
        """Rollouts that the round costs."""
        return len(self.arms) * (self.last - self.first)


@dataclass(frozen=True)
class Standing:
    """The order of a race, the best arm first; arms that left earlier stand below those that left later."""

    order: tuple[str, ...]
    means: dict[str, float]
    """Mean return of each arm over the pairs that it ran."""

    rollouts: int
    """Rollouts spent."""


def opening(arms: Sequence[str], pairs: int = FIRST_PAIRS) -> Round:
    """Give the first round: all arms on the first pairs.

    Raises
    ------
    ValueError
        If no arm or one name twice is given.
    """
    if not arms or len(set(arms)) != len(arms):
        raise ValueError(f"a race needs arms of different names, got {list(arms)}")
    return Round(tuple(arms), 0, pairs)


def following(
    done: Round, returns: Float[np.ndarray, "arm pair"], keep: int = 1
) -> tuple[Round | None, tuple[str, ...]]:
    """Halve the arms and double the pairs.

    Parameters
    ----------
    returns
        Returns of the round's arms on all pairs from the race's first to the round's last.
    keep
        Number of arms at which the race ends, once every arm has `ENOUGH_PAIRS`.

    Returns
    -------
    The next round, None at the end; and the arms of this round from best to worst.
    """
    if returns.shape != (len(done.arms), done.last):
        raise ValueError(f"a round has {len(done.arms)} arms × {done.last} pairs, got {returns.shape}")
    # The pairs are common to all arms, so the order of means is the order of paired differences; ties keep their order.
    order = tuple(done.arms[i] for i in np.argsort(-returns.mean(1), kind="stable"))
    left = (len(order) + 1) // 2
    if left == 1 or (left <= keep and done.last >= ENOUGH_PAIRS):
        return None, order
    return Round(order[:left], done.last, 2 * done.last), order


def race(
    arms: Sequence[str],
    roll_out: Callable[[tuple[str, ...], int, int], Float[np.ndarray, "arm pair"]],
    keep: int = 1,
) -> Standing:
    """Run a race to its end.

    Parameters
    ----------
    roll_out
        Returns of some arms on the paired (task, seed) sets of an index range, the same sets for every arm.
    """
    now: Round | None = opening(arms)
    seen: dict[str, Float[np.ndarray, " pair"]] = {arm: np.zeros(0) for arm in arms}
    out: list[str] = []
    spent = 0
    while now is not None:
        new = roll_out(now.arms, now.first, now.last)
        spent += now.rollouts
        for arm, values in zip(now.arms, new, strict=True):
            seen[arm] = np.concatenate([seen[arm], values])
        now, order = following(now, np.stack([seen[arm] for arm in now.arms]), keep)
        out = [*(order if now is None else order[len(now.arms) :]), *out]
    return Standing(tuple(out), {arm: float(values.mean()) for arm, values in seen.items()}, spent)


def front(tokens: Sequence[int], returns: Sequence[Float[np.ndarray, " _"]]) -> tuple[int, ...]:
    """List the arms that no other clearly beats in both tokens and return, from most tokens to fewest.

    An arm is left out only where one with no more tokens returns more by `CLEAR` standard errors of the paired
    difference. By means alone, the few rollouts of a race would leave out good arms with many tokens half of the time,
    and the ladder would begin below the smallest saving.

    Parameters
    ----------
    returns
        Returns of each arm on the paired (task, seed) sets from the race's first; arms may have run different numbers,
        and none at all.
    """
    means = [float(one.mean()) if one.size else -math.inf for one in returns]
    order = sorted(range(len(tokens)), key=lambda i: (-tokens[i], -means[i]))
    kept = [i for i in order if not any(_beats(returns[j], returns[i]) for j in order if tokens[j] <= tokens[i])]
    return tuple(i for at, i in enumerate(kept) if at == 0 or tokens[i] < tokens[kept[at - 1]])


def _beats(one: Float[np.ndarray, " _"], other: Float[np.ndarray, " _"]) -> bool:
    """Return whether one arm returns clearly more than another on the pairs that both ran."""
    pairs = min(len(one), len(other))
    if pairs < 2:  # noqa: PLR2004 - an error needs two
        return False
    better = one[:pairs] - other[:pairs]
    error = float(better.std(ddof=1)) / math.sqrt(pairs)
    return float(better.mean()) > CLEAR * error and float(better.mean()) > 0
