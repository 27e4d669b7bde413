"""The policy that was trained at a few context lengths: departures and returns around them, made and published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float64

from attnscope_model.compression import Compression
from attnscope_server.deciding.statistics.episodes import mean_return
from benchmarks.checksums import unchanged
from benchmarks.study2.measures import around, dips
from benchmarks.study2.published import Published
from benchmarks.study2.subjects import POSITIONS, Subject, compression
from benchmarks.study3.subjects import THIRD

TRAINED: Final = (19, 39, 79)
"""Transitions of the trained context lengths below the full one, the query apart."""

TRIED: Final = tuple(count + more for count in TRAINED for more in (-1, 0, 1))
"""Counts that are rolled out."""

SEEDS: Final = 3
FROM: Final = 8
"""First judged episode: the window is full before it begins."""

SUBJECT: Final = Subject(
    "lengths",
    "AD-absolute-sweeper-at-20-40-80-160-darkroom-reference-seed0@2400",
    "Trained at lengths 20, 40, 80, 160",
    "confirmation",
    14,
    counts=(80,),
    dips=True,
)

NAME: Final = "lengths.npz"


def arms() -> tuple[Compression, ...]:
    """Return the arms that are rolled out: positions, then counts."""
    return tuple(compression("recency", count, place) for place in POSITIONS for count in TRIED)


def make(run: Path, folder: Path, to: Path) -> Path:
    """Screen and roll out a trained run; write the arrays that are published."""
    from attnscope_model.checkpoints.registry import CheckpointRegistry  # noqa: PLC0415 - loads torch
    from attnscope_server.deciding.phases.rollouts import axis_of  # noqa: PLC0415 - as above
    from benchmarks.study2.running import Study  # noqa: PLC0415 - as above

    registry = CheckpointRegistry(folder / "registry")
    registry.add(run)
    study = Study(SUBJECT, registry, folder, THIRD)
    screened = study.part("dips", lambda: study.screened(SUBJECT.dip_arms))
    each = len(TRIED)

    def rolled(first: int, seed: int) -> dict[str, np.ndarray[Any, Any]]:
        found = study.stage.compressed(arms()[first : first + each], axis_of(study.judges, seed, seed + 1))
        return {"return": np.stack([study.shaped(one.returns) for one in found])}

    boards = [
        np.concatenate(
            [
                study.part(f"board-{first}-{seed}", lambda first=first, seed=seed: rolled(first, seed))["return"]  # type: ignore[misc]
                for seed in range(THIRD.board, THIRD.board + SEEDS)
            ],
            axis=1,
        )
        for first in range(0, len(arms()), each)
    ]
    plain = study.part("plain", lambda: study.uncompressed(THIRD.board, SEEDS))
    to.mkdir(parents=True, exist_ok=True)
    path = to / NAME
    arrays = {f"dips/{name}": values for name, values in screened.items()} | dict(plain)
    arrays["return"] = np.concatenate(boards)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    return path


@dataclass(frozen=True)
class Lengths:
    """The published arrays of the policy with trained lengths."""

    arrays: Mapping[str, np.ndarray[Any, Any]]

    def departures(self) -> dict[str, Float64[np.ndarray, " count"]]:
        """Return TV-live at the counts of `DIP_COUNTS`, by positions."""
        return around(Published(SUBJECT, self.arrays))

    def dips(self) -> dict[str, list[int]]:
        """Return the counts whose departure is far under that of both neighbours, by positions."""
        return dips(Published(SUBJECT, self.arrays))

    def kept(self) -> dict[str, dict[int, float]]:
        """Return the kept share by positions and count, over the judged episodes."""
        means, plain = (mean_return(self.arrays[name].astype(np.float64), FROM) for name in ("return", "plain"))
        random = self.arrays["random"]
        gain = float((plain - random).mean())
        shares = iter(((means - random).mean(axis=(1, 2)) / gain).tolist())
        return {place: {count: next(shares) for count in TRIED} for place in POSITIONS}

    def better(self, positions: str) -> list[int]:
        """Return the trained counts that keep more than both neighbours."""
        kept = self.kept()[positions]
        return [count for count in TRAINED if kept[count] > max(kept[count - 1], kept[count + 1])]


def read(folder: Path) -> Lengths | None:
    """Return the published arrays; None where they were not made.

    Raises
    ------
    ValueError
        The file is not the one whose checksum was published.
    """
    path = folder / NAME
    if not path.exists():
        return None
    with np.load(unchanged(path)) as stored:
        return Lengths(dict(stored))
