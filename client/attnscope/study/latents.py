"""A study of what latents hold: the newest compression traced to transitions, the use of each latent, a probe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Float64

from attnscope.capture import Capture
from attnscope.fetching.compressions import Compressions
from attnscope.measures.latents import Alikeness, alikeness, attention_over_uniform, composed, dead
from attnscope.measures.probing import FEWEST_TASKS, Probe, probe
from attnscope_storage.kinds.capture.compressions import LATENTS, STEP

MOST_STEPS: Final = 256
"""Decisions whose rows tell how latents are used, at most, spread over the rollout."""

MOST_BYTES: Final = 64 * 2**20
"""Bytes of latents that are compared over histories, at most: the newest compressions are taken."""


def holds_compressions(capture: Capture) -> bool:
    """Return whether a capture stores any compression."""
    return STEP in capture.names() and len(capture[STEP]) > 0


@dataclass(frozen=True, eq=False)
class LatentStudy:
    """The latents of one environment, and of all of them over histories.

    Parameters
    ----------
    capture
        One that stores compressions.
    env
        Place among the stored environments.
    """

    capture: Capture
    env: int = 0

    @cached_property
    def compressions(self) -> Compressions:
        """The compressions of the environment."""
        return self.capture.compressions(self.env)

    @cached_property
    def looked(self) -> list[Float64[np.ndarray, "latent _source"]] | None:
        """Attention of each compression's latents, mean over layers and heads; None where it is not stored."""
        held = self.compressions
        if held.attention is None:
            return None
        return [held.looked(number).mean(axis=(0, 1)) for number in range(len(held))]

    @cached_property
    def reached(self) -> list[Float64[np.ndarray, "latent _transition"]] | None:
        """Share of each transition that reaches each latent, through all generations; None where it is not stored."""
        if self.looked is None:
            return None
        held = [self.compressions.held(number) for number in range(len(self.looked))]
        return composed(self.looked, held, self.compressions.tokens_per_transition)

    @cached_property
    def used(self) -> Float64[np.ndarray, "layer head latent"] | None:
        """Mean attention of decisions to each latent ÷ uniform attention; None where no row of the env is stored."""
        capture, at = self.capture, self.capture.row_env(self.env)
        if not capture.has_exact_rows(self.env):
            return None
        every = capture["attention/row_step"][:] if "attention/row_step" in capture.names() else None
        steps = np.arange(len(capture["attention/rows"])) if every is None else np.asarray(every, np.int64)
        latents = np.asarray(capture.context.summaries[:, at])[steps]
        entries = np.flatnonzero(latents > 0)
        if not len(entries):
            return None
        entries = entries[np.linspace(0, len(entries) - 1, min(len(entries), MOST_STEPS)).astype(int)]
        rows = np.asarray(capture["attention/rows"][entries, capture.exact_place(self.env)], np.float64)
        length = np.asarray(capture.context.length[:, at], np.int64)[steps[entries]]
        return attention_over_uniform(rows, self.compressions.latents.shape[1], length)

    @cached_property
    def alike(self) -> Alikeness:
        """Differences of latents over the compressions of all environments; attention is that of this one."""
        stored = self.capture[LATENTS]
        each = 4 * int(np.prod(stored.shape[1:]))
        first = max(0, len(stored) - max(1, MOST_BYTES // each))
        histories = np.asarray(stored[first:])
        return alikeness(histories.reshape(-1, *histories.shape[2:]), self.looked)

    @property
    def dead(self) -> tuple[int, ...]:
        """Latents that decisions hardly look at; none where that is not known."""
        return () if self.used is None else tuple(np.flatnonzero(dead(self.used)).tolist())

    @cached_property
    def probe(self) -> Probe | None:
        """A linear probe from the newest latents to what sets the tasks apart; None where there are too few tasks."""
        cells = {cell.index: cell for cell in self.capture.resolved.tasks}
        task = np.asarray(self.capture.env.task[:], np.int64)
        told = {index: _numbers(cell.goal, cell.parameters) for index, cell in cells.items()}
        if len(cells) < FEWEST_TASKS or len({len(one) for one in told.values()}) != 1 or not set(task) <= set(told):
            return None
        newest = np.asarray(self.capture[LATENTS][len(self.compressions) - 1])
        return probe(newest.reshape(len(newest), -1), np.array([told[int(one)] for one in task]), task)


def _numbers(goal: tuple[int, int] | None, parameters: dict[str, tuple[int, ...] | tuple[float, ...]]) -> list[float]:
    """Return what sets a task apart, as numbers: its goal, else every parameter in the order of names."""
    if goal is not None:
        return [float(one) for one in goal]
    return [float(one) for name in sorted(parameters) for one in parameters[name]]


def latent_sentences(study: LatentStudy) -> list[str]:
    """Return what latents hold in plain sentences, each with its definition."""
    held, found = study.compressions, []
    count = held.latents.shape[1]
    if study.reached is not None:
        found.append(_traced_words(study, count))
    else:
        found.append(f"The compressor's attention is not told: {held.lacks}.")
    if study.used is not None:
        names = ", ".join(map(str, study.dead)) or "none"
        found.append(f"Dead latents (under a tenth of uniform attention in every layer and head): {names}.")
    alike = study.alike
    if np.isfinite(alike.variance).all():
        constant = ", ".join(map(str, np.flatnonzero(alike.constant))) or "none"
        pairs = ", ".join(f"{a} and {b}" for a, b in alike.duplicates) or "none"
        found.append(f"Constant latents (under 1 % of the mean variance over histories): {constant}.")
        if study.looked is not None:
            words = "correlation from .95 on over histories, and attention within .05"
            found.append(f"Duplicate latents ({words}): {pairs}.")
    if study.probe is not None:
        found.append(f"A linear probe from the latents of compression {len(held)} to the task {study.probe.words}.")
    elif study.looked is not None:
        found.append(f"No probe: it needs {FEWEST_TASKS} tasks that differ by the same numbers.")
    return found


def _traced_words(study: LatentStudy, count: int) -> str:
    """Return how much the newest latents hold of what their compression packed itself, and of what was before."""
    held, reached = study.compressions, study.reached
    assert reached is not None  # noqa: S101 - the caller looked
    first, last = held.packed(len(held) - 1)
    own, shares = last - first + 1, reached[-1].mean(axis=0)
    if first == 0:
        return f"The {count} latents of the first compression looked at its {own} transitions alone."
    return (
        f"Of what the {count} latents of compression {len(held)} looked at, {shares[first:].sum():.0%} lies on the "
        f"{own} transitions that it packed itself and {shares[:first].sum():.0%} on the {first} before, traced through "
        "the latents of before (attention, mean over layers and heads)."
    )
