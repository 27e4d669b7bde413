"""The measures of the registration, computed from published arrays alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from attnscope.measures.intervals import Estimate
from attnscope.recommendations.attention.agreement import FEWEST, Group, ceiling, correlation
from attnscope.screens.dips import NEAR
from attnscope_server.deciding.statistics.estimates import estimate, student_quantile
from attnscope_server.deciding.statistics.kept import Kept, kept
from attnscope_server.deciding.statistics.look_plans import Reach
from attnscope_storage.proposing import first_of_each, least_of, votes_of
from benchmarks.study2.published import Published
from benchmarks.study2.subjects import DIP_COUNTS, POSITIONS

MARGIN = 0.05
FAR_LESS = 0.8
"""Share of either neighbour's departure that a registered dip stays below."""
NORMAL = 1.959963984540054
"""z value of a 95 % interval."""


@dataclass(frozen=True)
class Ranked:
    """A rank correlation with its interval, beside the largest that noisy costs allow."""

    found: Estimate
    ceiling: float


@dataclass(frozen=True)
class Loss:
    """Kept share lost to the best arm of each count, mean over counts."""

    value: float
    low: float
    high: float


def halves(policy: Published) -> tuple[Bool[np.ndarray, "task seed"], Bool[np.ndarray, "task seed"]]:
    """Return the two halves of the board's rollouts: task number + seed number even, or odd."""
    task, seed = np.indices(policy.plain.shape)
    even = (task + seed) % 2 == 0
    return even, ~even


def kept_of(policy: Published, arm: int) -> Kept:
    """Return an arm's kept share on the board with its 95 % interval, for these tasks."""
    return kept(policy.paired(arm), MARGIN, Reach.THESE, NORMAL, NORMAL)


def confirmed(policy: Published) -> Kept | None:
    """Return the kept share of the largest count's pick on fresh seeds; None where they were not made."""
    fresh = policy.confirmed
    return None if fresh is None else kept(fresh, MARGIN, Reach.THESE, NORMAL, NORMAL)


def by_task(policy: Published, arm: int) -> Float[np.ndarray, " task"]:
    """Return an arm's kept share of every judging task: 1 less its loss there, as a share of the mean gain."""
    gain = float((policy.plain - policy.arrays["random"][:, None]).mean())
    return np.asarray(1 + (policy.means[arm] - policy.plain).mean(axis=1) / gain)


def by_positions(policy: Published) -> dict[str, float]:
    """Return the mean kept share of the arms under each position policy."""
    kept, place = policy.kept(), np.array([arm.positions for arm in policy.arms])
    return {name: float(kept[place == name].mean()) for name in POSITIONS}


def within_rules(policy: Published, vote: str = "departure") -> Ranked:
    """Rank a rule's counts and positions by TV-live, as registered, or by another vote."""
    groups = [np.flatnonzero(np.array(policy.rules) == rule) for rule in dict.fromkeys(policy.rules)]
    return _ranked(policy, policy.votes.named[vote], np.arange(len(policy.arms)), groups)


def better_positions(policy: Published, vote: str) -> float:
    """Return how often the positions that a vote prefers, of one rule and count, keep more; ties in cost count half."""
    kept, values = policy.kept(), policy.votes.named[vote]
    right = [
        0.5 if kept[one] == kept[other] else float((values[one] < values[other]) == (kept[one] > kept[other]))
        for one, other in _turned(policy)
        if values[one] != values[other]
    ]
    return float(np.mean(right)) if right else float("nan")


def halves_agree(policy: Published) -> float:
    """Return how often both halves of the rollouts prefer the same positions of a rule and count; half is chance."""
    first, second = (policy.kept(half * 1.0) for half in halves(policy))
    return float(
        np.mean([(first[one] > first[other]) == (second[one] > second[other]) for one, other in _turned(policy)])
    )


def _turned(policy: Published) -> list[tuple[int, int]]:
    """Return the pairs of arms that differ in their positions alone."""
    each = len(policy.subject.rules)
    starts = range(0, len(policy.arms), 2 * each)
    return [(place, place + each) for first in starts for place in range(first, first + each)]


def within_budgets(policy: Published) -> dict[str, Ranked]:
    """Rank the rules of one count and position policy, by each vote; equal arms are merged."""
    arms = np.array(policy.single)
    keys = [(policy.arms[place].budget, policy.arms[place].positions) for place in arms]
    groups = [np.array([at for at, one in enumerate(keys) if one == key]) for key in dict.fromkeys(keys)]
    groups = [group for group in groups if len(group) >= FEWEST]
    return {name: _ranked(policy, values, arms, groups) for name, values in policy.votes.named.items()}


def regrets(policy: Published) -> dict[str, Loss]:
    """Return the regret of the race's pick, of each vote's first choice, of the votes' best three and of recency."""
    counts = policy.subject.counts
    first = [_first(policy, count) for count in counts]
    chosen: dict[str, Callable[[int, Float[np.ndarray, " arm"]], int]] = {
        "the race's pick": lambda at, _other: policy.picks[at],
        **{f"first by {vote}": lambda at, _other, vote=vote: first[at][vote][0] for vote in first[0]},  # type: ignore[misc]
        "best of the votes' first three": lambda at, other: max(
            {place for places in first[at].values() for place in places}, key=lambda place: other[place]
        ),
        "recency": lambda at, _other: _recency(policy, counts[at]),
    }
    return {name: _regret(policy, choose) for name, choose in chosen.items()}


def best_kept(policy: Published) -> float:
    """Return the kept share of the best arm, chosen on one half of the rollouts and read on the other."""
    parts = [
        (policy.kept(one * 1.0), policy.kept(other * 1.0)) for one, other in (halves(policy), halves(policy)[::-1])
    ]
    return float(np.mean([read[np.argmax(chosen)] for chosen, read in parts]))


def dips(policy: Published) -> dict[str, list[int]]:
    """Return the counts whose TV-live is far under that of both neighbours, by positions."""
    departure = around(policy)
    found: dict[str, list[int]] = {}
    for place, values in departure.items():
        found[place] = [
            DIP_COUNTS[at]
            for at in range(1, len(DIP_COUNTS) - 1)
            if DIP_COUNTS[at + 1] - DIP_COUNTS[at] <= NEAR
            and DIP_COUNTS[at] - DIP_COUNTS[at - 1] <= NEAR
            and values[at] < FAR_LESS * min(values[at - 1], values[at + 1])
        ]
    return found


def around(policy: Published) -> dict[str, Float[np.ndarray, " count"]]:
    """Return TV-live of the newest transitions at the counts around trained lengths, by positions."""
    arrays = {name.removeprefix("dips/"): values for name, values in policy.arrays.items() if name.startswith("dips/")}
    departure = votes_of(arrays, arrays["task"]).departure.reshape(len(POSITIONS), len(DIP_COUNTS))
    return dict(zip(POSITIONS, departure, strict=True))


def _ranked(policy: Published, values: Float[np.ndarray, " arm"], arms: np.ndarray, groups: Sequence[Group]) -> Ranked:  # type: ignore[type-arg]
    cost = 1 - policy.kept()[arms]
    noisy = [1 - policy.kept(half * 1.0)[arms] for half in halves(policy)]
    names = [policy.rules[place] for place in arms]
    return Ranked(correlation(values[arms], cost, list(groups), names), ceiling(noisy, list(groups)))


def _first(policy: Published, count: int) -> dict[str, list[int]]:
    members = [place for place in policy.single if policy.arms[place].budget == count]
    return first_of_each(policy.votes, least_of(policy.votes.named[policy.stands], policy.rules, members))


def _recency(policy: Published, count: int) -> int:
    """Return recency under the positions of the policy's default: `keep` for learned absolute positions."""
    default = "reindex" if policy.subject.rotary else "keep"
    mine = [
        place
        for place, arm in enumerate(policy.arms)
        if arm.budget == count and arm.positions == default and policy.rules[place] == "recency"
    ]
    return mine[0]


def _regret(policy: Published, choose: Callable[[int, Float[np.ndarray, " arm"]], int]) -> Loss:
    gain = float((policy.plain - policy.arrays["random"][:, None]).mean())
    values = np.zeros_like(policy.plain)
    for half, other in (halves(policy), halves(policy)[::-1]):
        elsewhere = policy.kept(other * 1.0)
        for at, count in enumerate(policy.subject.counts):
            mine = [place for place, arm in enumerate(policy.arms) if arm.budget == count]
            best = max(mine, key=lambda place: elsewhere[place])
            lost = (policy.means[best] - policy.means[choose(at, elsewhere)]) / gain
            values += np.where(half, lost, 0) / len(policy.subject.counts)
    found = estimate(values, Reach.THESE)
    error = float(found.error)
    half_width = error * float(student_quantile(NORMAL, found.freedom)) if error > 0 else 0.0
    return Loss(float(found.mean), float(found.mean) - half_width, float(found.mean) + half_width)
