"""The latents before a decision: what each packs, composed down to transitions; which are dead, constant or doubles."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float64

from attnscope.errors import NotCapturedError
from attnscope.page.frames import Frame, numbers
from attnscope.study.latents import LatentStudy
from attnscope_storage.reductions import factor
from attnscope_storage.shades import as_u8

Shows = Literal["traced", "looked"]
"""``traced``: transitions, through all generations. ``looked``: the sources of the compression itself."""

COLUMNS: Final = 512
"""Columns of the picture, at most; a column of several transitions holds their sum."""

ENDS: Final = (0.05, 0.95)
"""Quantiles between which a latent's range lies."""


def latents(study: LatentStudy, step: int, shows: Shows) -> Frame:
    """Return what the latents hold that a decision at a step could see: shades [latent, column].

    Parameters
    ----------
    study
        Of the environment.
    step
        A committed step.

    Where there are none, the answer says why.
    """
    why = why_none(study)
    number = None if why is not None else study.compressions.before(step)
    if number is None:
        return Frame({"number": None, "lacks": why or before_the_first(study)}, np.empty((0, 0), np.uint8))
    return latents_of(study, number, shows)


def before_the_first(study: LatentStudy) -> str:
    """Return why there are no latents before the first compression."""
    held = study.compressions
    when = f"the first compression comes after step {int(held.step[0])}" if len(held) else "nothing is packed so far"
    return f"No latents yet: {when}."


def latents_of(study: LatentStudy, number: int, shows: Shows) -> Frame:
    """Return what the latents of a compression hold.

    Parameters
    ----------
    number
        Of the compression; the first one is 0.
    """
    held = study.compressions
    first, last = held.packed(number)
    told: dict[str, Any] = {
        "number": number,
        "after": int(held.step[number]),
        "first": first,
        "last": last,
        "older": held.held(number),
        "shows": shows,
        "begins": [held.packed(one)[0] for one in range(1, number + 1)] if shows == "traced" else [],
        **_over_the_run(study),
    }
    if study.reached is None or study.looked is None:
        count = held.latents.shape[1]
        lacks = f"{held.lacks[0].upper()}{held.lacks[1:]}."
        return Frame({**told, "lacks": lacks, "unit": 1, "spans": None}, np.empty((count, 0), np.uint8))
    reached = study.reached[number]
    weights = reached if shows == "traced" else np.asarray(study.looked[number])
    unit = factor(weights.shape[1], COLUMNS)
    summed = np.add.reduceat(weights, np.arange(0, weights.shape[1], unit), axis=1)
    return Frame({**told, "lacks": "", "unit": unit, "spans": _spans(reached)}, as_u8(summed.astype(np.float32)))


def _spans(reached: Float64[np.ndarray, "latent transition"]) -> list[list[float]]:
    """Return of each latent the transitions between which it holds 90 %, the one it holds most of, and its share."""
    running = np.cumsum(reached, axis=1)
    running /= running[:, -1:]
    found = []
    for row, run in zip(reached, running, strict=True):
        low, high = (int(np.searchsorted(run, end)) for end in ENDS)
        most = int(row.argmax())
        found.append([low, min(high, len(row) - 1), most, float(f"{row[most]:.3g}")])
    return found


def _over_the_run(study: LatentStudy) -> dict[str, Any]:
    """Return how decisions use each latent, and which are dead, constant or doubles, over all that is committed."""
    used, alike = study.used, study.alike
    enough = bool(np.isfinite(alike.variance).all())
    use = None if used is None else [numbers(used.mean(axis=(0, 1))), numbers(used.max(axis=(0, 1)))]
    return {
        "use": use,
        "dead": list(study.dead),
        "constant": np.flatnonzero(alike.constant).tolist() if enough else None,
        "doubles": [list(pair) for pair in alike.duplicates] if enough and study.looked is not None else None,
    }


def why_none(study: LatentStudy) -> str | None:
    """Return why a capture shows no latents; None where it stores compressions."""
    try:
        study.compressions  # noqa: B018 - it refuses where there are none
    except NotCapturedError as error:
        return error.message
    return None
