"""The check of what the slots of a packed context stand for: latents at the front, then transitions, then the query."""

from __future__ import annotations

import numpy as np

from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import VerificationReport

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
