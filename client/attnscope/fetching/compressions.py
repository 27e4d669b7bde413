"""The compressions of one environment: when they took place, their latents, and what each latent looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Float64, Int64, Shaped

from attnscope.errors import NotCapturedError
from attnscope.notebook import table
from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.kinds.capture.compressions import ATTENTION, ENVS, LATENTS, SOURCES, STEP

FAR = 0.01
"""Distance of a row's sum from 1, from which it is damaged."""

AXES = 5
"""Axes of the attention of one environment."""

if TYPE_CHECKING:
    from attnscope.fetching.captured import CapturedArrays

NOTHING = "the policy packs nothing, so there is no compression"
EARLIER = "this capture was made before compressions were stored: capture again"
NO_ATTENTION = (
    "the compressor's attention of this environment is not stored: it is kept of environments whose rows are, as far "
    "as its bytes allow"
)


@dataclass(frozen=True, eq=False)
class Compressions:
    """The committed compressions of one environment, the first one is number 0 and makes generation 1."""

    step: Int64[np.ndarray, " compression"]
    """Step after which each took place: its latents stand for this transition and all before."""
    sources: Int64[np.ndarray, " compression"]
    """Tokens that each packed, the latents of before among them."""
    latents: Float32[np.ndarray, "compression latent width"]
    """As the next compression takes them."""
    attention: Float64[np.ndarray, "compression layer head latent source"] | None
    """Attention of each latent to the sources, older latents first; NaN past them. None where it is not stored."""
    tokens_per_transition: int
    lacks: str = NO_ATTENTION
    """Why there is no attention, where there is none."""

    def __len__(self) -> int:
        return len(self.step)

    def _repr_html_(self) -> str:
        rows = {}
        for number, step in enumerate(self.step.tolist()):
            first, last = self.packed(number)
            held = f"{self.held(number)} older latents and " if self.held(number) else ""
            rows[f"after step {step}"] = f"{held}transitions {first} to {last} became {self.latents.shape[1]} latents"
        return table(f"{len(self)} compressions", rows)

    def held(self, number: int) -> int:
        """Return the older latents among the sources of a compression."""
        return 0 if number == 0 else self.latents.shape[1]

    def packed(self, number: int) -> tuple[int, int]:
        """Return the first and the last transition that a compression packed as themselves."""
        return (0 if number == 0 else int(self.step[number - 1]) + 1), int(self.step[number])

    def looked(self, number: int) -> Float64[np.ndarray, "layer head latent source"]:
        """Return what each latent of a compression looked at, over its sources alone.

        Raises
        ------
        NotCapturedError
            The attention is not stored.
        """
        if self.attention is None:
            raise NotCapturedError(self.lacks)
        return np.asarray(self.attention[number, ..., : int(self.sources[number])])

    def before(self, step: int) -> int | None:
        """Return the newest compression whose latents a decision at a step could see; None before the first."""
        number = int(np.searchsorted(self.step, step)) - 1
        return number if number >= 0 else None


def compressions_of(capture: CapturedArrays, env: int) -> Compressions:
    """Return the committed compressions of an entry of the env axis.

    Raises
    ------
    NotCapturedError
        The policy packs nothing, or the capture was made before compressions were stored.
    ChunkDamagedError
        The arrays do not fit each other.
    """
    names = set(capture.names())
    if STEP not in names:
        raise NotCapturedError(EARLIER if capture.policy.window == "compressed" else NOTHING)
    kept = [] if ENVS not in names else capture[ENVS][:].tolist()
    rows = capture[ATTENTION][:, kept.index(env)].astype(np.float64) if env in kept else None
    step, sources = (np.asarray(capture[name][:], np.int64) for name in (STEP, SOURCES))
    held, per = np.asarray(capture[LATENTS][:, env]), capture.policy.tokens_per_transition
    _refuse_damaged(step, sources, held, rows, per)
    return Compressions(step, sources, held, rows, per, _lacks(capture))


def _lacks(capture: CapturedArrays) -> str:
    """Return why a capture would hold no attention of its compressor."""
    by = capture.policy.packed_by
    if by is None or by.layers:
        return NO_ATTENTION
    return f"the installed compressor {by.name} gives no attention, so what its latents looked at is not known"


def _refuse_damaged(
    step: Shaped[np.ndarray, ...],
    sources: Shaped[np.ndarray, ...],
    held: Shaped[np.ndarray, ...],
    rows: Shaped[np.ndarray, ...] | None,
    per: int,
) -> None:
    """Refuse compressions whose steps, sources, latents and attention do not fit each other.

    Raises
    ------
    ChunkDamagedError
        The store does not hold what it says.
    """
    latents = held.shape[1]
    packed = np.diff(step, prepend=-1) * per
    packed[1:] += latents
    if len(held) != len(step) or not np.array_equal(packed, sources):
        raise ChunkDamagedError(
            f"{STEP}, {SOURCES}, {LATENTS}: what is packed is not what joined between two compressions"
        )
    if rows is None:
        return
    fits = rows.ndim == AXES and rows.shape[0] == len(packed) and rows.shape[3] == latents
    if not fits or (len(packed) and packed.max() > rows.shape[4]):
        why = f"expected a weight for each of {latents} latents and every source, got {rows.shape}"
        raise ChunkDamagedError(f"{ATTENTION}: {why}")
    for number, count in enumerate(packed):
        sums = rows[number, ..., :count].sum(axis=-1)
        if not (np.abs(sums - 1) <= FAR).all():  # false where any weight is NaN
            raise ChunkDamagedError(f"{ATTENTION} of compression {number}: rows that sum to 1 expected")
