"""The published arrays of the second study: one small file a policy in docs/study/second, with their checksums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from attnscope_model.compression import Compression
from attnscope_server.deciding.statistics.episodes import first_binding_episode, mean_return
from attnscope_server.deciding.statistics.estimates import PairedReturns
from attnscope_server.deciding.statistics.gate import Gate, gate
from attnscope_storage.proposing import BASELINES, Votes, distinct, votes_of
from benchmarks.checksums import summed, unchanged, write_sums
from benchmarks.study2.subjects import SUBJECTS, Subject, named

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "study" / "second"

Arrays = Mapping[str, Shaped[np.ndarray, "..."]]


@dataclass(frozen=True, eq=False)
class Published:
    """All arrays of one policy."""

    subject: Subject
    arrays: Arrays
    stands: str = "departure"
    """Vote that chose the positions of a rule that raced."""

    @cached_property
    def arms(self) -> tuple[Compression, ...]:
        """The arm axis."""
        return self.subject.arms

    @cached_property
    def rules(self) -> list[str]:
        """Rule of every arm."""
        return [arm.rule.name for arm in self.arms]

    @cached_property
    def votes(self) -> Votes:
        """The numbers of the three votes."""
        return votes_of(self.arrays, self.arrays["task"])

    @cached_property
    def single(self) -> list[int]:
        """Arms without those that kept and decided as another one of their budget everywhere."""
        order = sorted(range(len(self.arms)), key=lambda place: self.rules[place] not in BASELINES)
        return sorted(distinct(self.arrays, [arm.budget for arm in self.arms], order))

    @cached_property
    def gate(self) -> Gate:
        """The gate, as a decision reads it."""
        returns = self.arrays["captured"].astype(np.float64)
        tasks = len(self.arrays["screening_random"])
        late = mean_return(returns, returns.shape[1] - max(1, returns.shape[1] // 3)).reshape(tasks, -1)
        earned = (np.nan_to_num(returns) != 0).any(axis=1).reshape(tasks, -1)
        return gate(late, self.arrays["screening_random"], earned)

    @cached_property
    def first(self) -> int:
        """First judged episode."""
        found = first_binding_episode(self.arrays["begins"], self.subject.counts[0])
        if found is None:
            raise ValueError(f"{self.subject.key}: the largest count never binds")
        return found

    @cached_property
    def means(self) -> Float[np.ndarray, "arm task seed"]:
        """Return a judged episode of every arm's rollouts."""
        return self._judged(self.arrays["return"])

    @cached_property
    def plain(self) -> Float[np.ndarray, "task seed"]:
        """The same of the uncompressed policy."""
        return self._judged(self.arrays["plain"])

    @cached_property
    def picks(self) -> list[int]:
        """Arm that the race of every count picked."""
        return [int(place) for place in self.arrays["pick"]]

    @property
    def confirmed(self) -> PairedReturns | None:
        """Rollouts of the pick of the largest count on fresh seeds; None where they were not made."""
        if "confirm/return" not in self.arrays:
            return None
        returns = (self._judged(self.arrays[f"confirm/{name}"]) for name in ("return", "plain"))
        return PairedReturns(*returns, self.arrays["random"])

    def paired(self, arm: int) -> PairedReturns:
        """Return an arm's board rollouts beside their uncompressed twins."""
        return PairedReturns(self.means[arm], self.plain, self.arrays["random"])

    def kept(self, rollouts: Float[np.ndarray, "task seed"] | None = None) -> Float[np.ndarray, " arm"]:
        """Return the kept share of every arm, over all rollouts or those with weight."""
        weight = np.ones_like(self.plain) if rollouts is None else rollouts
        random = self.arrays["random"][:, None]
        whole = ((self.plain - random) * weight).sum()
        return np.asarray(((self.means - random) * weight).sum(axis=(1, 2)) / whole)

    def name(self, arm: int) -> str:
        """Return the name of an arm."""
        return named(self.arms[arm])

    def _judged(self, returns: Shaped[np.ndarray, "*arm seed task episode"]) -> Float[np.ndarray, "*arm task seed"]:
        return np.swapaxes(mean_return(returns.astype(np.float64), self.first), -1, -2)


def publish(folder: Path, to: Path = FOLDER, subjects: Sequence[Subject] = SUBJECTS) -> list[str]:
    """Put the parts of every finished policy into one file each; return the policies that are there."""
    to.mkdir(parents=True, exist_ok=True)
    done = []
    for subject in subjects:
        parts = folder / subject.key
        boards = [parts / f"board-{first:03}.npz" for first in range(0, len(subject.arms), len(subject.rules))]
        if all(path.exists() for path in (*boards, parts / "race.npz", parts / "plain.npz")):
            np.savez_compressed(to / f"{subject.key}.npz", **_joined(subject, parts, boards))
            done.append(subject.key)
    write_sums(to, sorted(path.name for path in to.glob("*.npz")))
    return done


def published(
    folder: Path = FOLDER, subjects: Sequence[Subject] = SUBJECTS, stands: str = "departure"
) -> list[Published]:
    """Return every published policy, in the order of the registration.

    Raises
    ------
    ValueError
        A file is not the one whose checksum was published.
    """
    there, found = summed(folder), []
    for subject in subjects:
        path = folder / f"{subject.key}.npz"
        if path.name not in there:
            continue
        with np.load(unchanged(path)) as stored:
            found.append(Published(subject, dict(stored), stands))
    return found


def _joined(subject: Subject, parts: Path, boards: list[Path]) -> dict[str, Any]:
    def part(name: str) -> dict[str, Any]:
        with np.load(parts / f"{name}.npz") as stored:
            return dict(stored)

    capture = part("capture")
    arrays = part("screen") | part("race") | part("plain") | _captured(subject, capture)
    arrays["return"] = np.concatenate([part(path.stem)["return"] for path in boards])
    if subject.dips:
        arrays |= {f"dips/{name}": values for name, values in part("dips").items()}
    if (parts / "confirm.npz").exists():
        confirm = part("confirm")
        arrays |= {"confirm/return": confirm["return"], "confirm/plain": confirm["plain"]}
    return arrays


def _captured(subject: Subject, capture: dict[str, Any]) -> dict[str, Any]:
    """Return what the gate and the first judged episode are read from."""
    from benchmarks.study2.running import screening_random  # noqa: PLC0415 - reading needs no policy and no torch

    tasks: Int[np.ndarray, " task"] = np.array(list(dict.fromkeys(capture["task"].tolist())))
    random = screening_random(subject, tuple(int(task) for task in tasks))
    return {"captured": capture["captured"], "begins": capture["begins"], "screening_random": random}
