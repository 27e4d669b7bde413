"""The checks of packed contexts: the transitions that each slot stands for, and the compressions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from attnscope_storage.kinds.capture.compressions import ATTENTION, ENVS, LATENTS, SOURCES, STEP
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import VerificationReport
from attnscope_storage.wire.packing import rhythm_of

CELLS = 2**20
"""Slots, over steps and environments, that are checked at a time."""


def check_packed(reader: CaptureReader, report: VerificationReport) -> None:
    """Check every step: latents stand for all transitions before the first that stands as itself, others for one.

    Parameters
    ----------
    reader
        The capture.
    report
        Takes down the steps that do not fit.
    """
    steps, envs, slots = reader.root.arrays["context/transition_first"].shape
    per, many = reader.policy.tokens_per_transition, max(1, CELLS // max(1, envs * slots))
    for begin in range(0, steps, many):
        part = slice(begin, min(begin + many, steps))
        names = ("start", "length", "summaries")
        start, length, latents = (reader.array(f"context/{name}")[part][..., None].astype(np.int64) for name in names)
        slot = np.arange(slots)
        own, latent = start + (slot - latents) // per, slot < latents
        beyond = slot >= length
        first = np.where(beyond, -1, np.where(latent, 0, own))
        last = np.where(beyond, -1, np.where(latent, start - 1, own))
        step = np.arange(part.start, part.stop)[:, None]
        ends = (start[..., 0] + (length[..., 0] - 1 - latents[..., 0]) // per) == step
        wrong = ~ends | (first != reader.array("context/transition_first")[part]).any(axis=-1)
        wrong |= (last != reader.array("context/transition_last")[part]).any(axis=-1)
        for row, env in np.argwhere(wrong):
            report.note(f"context/transition_first at step {begin + row}, env {env} does not fit the context's slots")


def check_compressions(reader: CaptureReader, names: set[str], report: VerificationReport) -> None:
    """Check the committed compressions: their steps and sources are the policy's, rows sum to 1, latents are finite.

    Parameters
    ----------
    names
        Arrays whose chunks all decode.
    report
        Takes down what does not fit.
    """
    rhythm = rhythm_of(reader.policy)
    if rhythm is None or not {STEP, SOURCES} <= names:
        return
    step, sources = reader.array(STEP)[:], reader.array(SOURCES)[:]
    for number in range(len(step)):
        packed = rhythm.sources if number else rhythm.first_sources
        if (step[number], sources[number]) != (rhythm.step(number), packed):
            report.note(f"compression {number}: expected {packed} tokens after step {rhythm.step(number)}, got "
                        f"{sources[number]} after {step[number]}")  # fmt: skip
        if LATENTS in names and not np.isfinite(reader.array(LATENTS)[number]).all():
            report.note(f"{LATENTS} of compression {number} hold what is no number")
        if {ATTENTION, ENVS} <= names:
            rows = reader.array(ATTENTION)[number]
            for env in reader.array(ENVS)[np.flatnonzero(_broken(rows, packed))]:
                report.note(f"{ATTENTION} of compression {number}, env {env} is no attention over its sources")


def _broken(rows: Float[np.ndarray, "env layer head latent source"], sources: int) -> Bool[np.ndarray, " env"]:
    """Return the environments of which any row does not hold weights that sum to 1, or NaN exactly past its sources."""
    weights, beyond = rows[..., :sources].astype(np.float64), rows[..., sources:]
    tolerance = 2.0**-11 + rows.shape[-1] * 2.0**-25
    fits = np.abs(weights.sum(axis=-1) - 1) <= tolerance  # false where any weight is NaN
    fits &= np.isnan(beyond).all(axis=-1) & ((weights >= 0) & (weights <= 1)).all(axis=-1)
    return np.asarray(~fits.all(axis=(1, 2, 3)))
