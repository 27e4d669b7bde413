"""A capture within a page: answers that do not change, and decision rows of every environment within a byte budget.

Where all rows fit, every captured step is there. Where they do not, steps at equal distances are.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, UInt8

from attnscope.connecting.plain import plain_values
from attnscope.page.answers import QUESTIONS, influence_at
from attnscope.page.frames import Frame
from attnscope.page.metrics import WORDS, names_of, of_run, over_the_run, table_of, windows_of
from attnscope.page.rollouts import Rollout, transitions
from attnscope.page.subjects import Subject
from attnscope.page.views import BINS, binned, by_column, heads
from attnscope.reading.plan import stratified
from attnscope.report.held_latents import held_latents
from attnscope.study import Study
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.reductions import factor
from attnscope_storage.shades import as_u8, from_u8

PAGE_BYTES: Final = 12 * 2**20
"""Bytes of decision rows, one a weight, that a page holds at most; where they do not fit, every n-th step is held."""

LARGE: Final = 4
"""Times `PAGE_BYTES` from which on a capture is large, so that reading it costs more than a page is worth."""

SAMPLE_BYTES: Final = 3 * 2**20
"""Bytes of decision rows that a page holds of a large capture."""

LEAST_ROWS: Final = 24
"""Steps of an environment that it holds at least; where they do not fit, fewer environments are held."""

MAP_SHARE: Final = 8
"""Part of the bytes of rows, one in so many, that whole maps may take beside them; an environment without says so."""

TRANSITIONS: Final = 200_000
"""Transitions of all environments up to which they are told in words."""

INFLUENCE_TOKENS: Final = 256
"""Tokens of a context up to which a report asks the service for the influence of each transition."""

DEFLATE: Final = 6
"""Level of compression: higher ones take several times as long and save a hundredth."""


@dataclass(frozen=True)
class Held:
    """The part of a capture that a page holds."""

    places: tuple[int, ...]
    """Environments, as places among those that take part."""
    every: int
    """Distance of the stored rows that are held; 1 holds all."""
    maps: int
    """Environments, the first ones, whose sampled maps are held."""

    def words(self, envs: int, budget: int) -> str:
        """Return what is held, in words."""
        which = "every captured step" if self.every == 1 else f"one captured step in {self.every}"
        of = f"all {envs} environments" if len(self.places) == envs else f"{len(self.places)} of {envs} environments"
        maps = f" Whole maps: of the first {self.maps} environments." if 0 < self.maps < len(self.places) else ""
        return f"In this file: {which} of {of}, at most {budget / 2**20:.3g} MiB of decision rows.{maps}"


def budget_of(read: Study, asked: int | None) -> int:
    """Return the bytes of decision rows that a page may hold: those asked for, else as the capture's size says."""
    if asked is not None:
        return asked
    size = read.reading.size
    large = size.entries * len(read.envs) * size.cells * size.slots > LARGE * PAGE_BYTES
    return SAMPLE_BYTES if large else PAGE_BYTES


def held_of(read: Study, budget: int, map_bytes: int) -> Held:
    """Return the part of a study's capture that fits.

    Parameters
    ----------
    budget
        Bytes of decision rows.
    map_bytes
        Bytes of the maps of one environment.
    """
    size, envs = read.reading.size, len(read.envs)
    row = max(1, size.cells * size.slots)
    least = max(1, min(LEAST_ROWS, size.entries)) * row
    places = stratified(envs, max(1, min(envs, budget // least))).tolist()
    every = max(1, -(-size.entries * len(places) * row // budget))
    maps = min(len(places), max(1, budget // MAP_SHARE // map_bytes)) if map_bytes else 0
    return Held(tuple(places), every, maps)


def embedded(read: Study, steps: list[int], asked: int | None = None) -> tuple[dict[str, Any], str]:
    """Return what a page holds of a capture, as JSON, and the same in words.

    Parameters
    ----------
    steps
        Steps whose whole maps are held.
    asked
        Bytes of decision rows at most; None takes `PAGE_BYTES`, of a large capture `SAMPLE_BYTES`.
    """
    subject = Subject("report", "capture", read.capture, None)
    rollout = subject.rollout(read.place(0))
    first = [heads(read.capture, rollout, step, "maps") for step in steps]
    budget = budget_of(read, asked)
    held = held_of(read, budget, sum(frame.shades.size for frame in first))
    envs: dict[str, str] = {}
    lost, why = _influence(subject, rollout.place, steps)
    for place, env in enumerate(held.places):
        rollout = subject.rollout(read.place(env))
        shown = steps if place < held.maps else []
        maps = first if env == 0 and shown else [heads(read.capture, rollout, step, "maps") for step in shown]
        known = lost if env == 0 else []
        envs[str(rollout.place)] = _packed(_environment(read, subject, rollout, held, budget, maps, known))
    about = subject.about()
    about |= {"held": [read.place(env) for env in held.places], "mapSteps": steps, "replays": False}
    about |= {"influence": [{"env": read.place(0), "step": one["step"]} for one in lost], "noInfluence": why}
    news = subject.news() | {"committed": read.steps, "mark": "still", "answer": "still"}
    content = {"answers": {"about": about, "news": news}, "envs": envs}
    return plain_values(content), held.words(len(read.envs), budget)


def _environment(
    read: Study,
    subject: Subject,
    rollout: Rollout,
    held: Held,
    budget: int,
    maps: list[Frame],
    lost: list[dict[str, Any]],
) -> Frame:
    """Return all that is held of one environment, its frames one behind the other."""
    capture, size = read.capture, read.reading.size
    numbers = range((size.entries - 1) % held.every, size.entries, held.every)
    rows: UInt8[np.ndarray, "row layer head slot"] = np.empty((0, 1, 1, 1), np.uint8)
    steps: list[int] = []
    if read.reading.plan is not None:
        entries = slice(numbers.start, numbers.stop, numbers.step)
        rows = capture.rows.shades((entries, rollout.place, ..., slice(0, size.slots)))
        steps = [int(step) for step in read.reading.row_step[entries]]
    contexts = [{**rollout.context(step), "entry": entry} for step, entry in zip(steps, numbers, strict=False)]
    common = {
        "steps": steps,
        "lengths": [one["length"] for one in contexts],
        "starts": [one["start"] for one in contexts],
        "rewards": by_column(rollout, np.asarray(steps, np.int64), read.steps) if steps else [],
        "every": held.every,
        "entries": [numbers.start, numbers.stop, numbers.step],
    }
    if rollout.summaries is not None:
        common["summaries"] = [one["summaries"] for one in contexts]
    unit = factor(rows.shape[-1], BINS)
    band = binned(_mean(rows), unit)
    told = {"first": 0, "last": read.steps, **rollout.within(0, read.steps), "unit": unit}
    packed, why = held_latents(subject, rollout.place, budget // MAP_SHARE // len(held.places))
    frames = [
        Frame({**common, **told}, band),
        Frame({**common, "contexts": contexts}, rows),
        *maps,
        *packed,
    ]
    described = [{**frame.head, "shape": list(frame.shades.shape)} for frame in frames]
    head = {
        "band": described[0],
        "rows": described[1],
        "maps": described[2 : 2 + len(maps)],
        "latents": described[2 + len(maps) :],
        "noLatents": why,
        "noMaps": capture.lacks("attention/maps") or NO_MAPS,
        "rollout": _transitions(read, rollout),
        "room": _room(subject, rollout),
        "metrics": _metrics(read, rollout),
        "noMetrics": capture.lacks("stats/entropy") or "no statistics are stored",
        "influence": lost,
    }
    return Frame(plain_values(head), np.concatenate([frame.shades.reshape(-1) for frame in frames]))


NO_MAPS: Final = "This file holds no whole map of this environment, to stay small."


def _metrics(read: Study, rollout: Rollout) -> dict[str, Any] | None:
    """Return the heads' means over the run, and how those of a step are named; None without statistics."""
    capture, reading = read.capture, read.reading
    if not names_of(capture):
        return None
    run = table_of(capture, of_run(reading, rollout.place), f"{WORDS} All are {over_the_run(reading)}.")
    return {"run": run, "names": run["names"], "units": run["units"], "windows": windows_of(capture), "words": WORDS}


def _influence(subject: Subject, place: int, steps: list[int]) -> tuple[list[dict[str, Any]], str]:
    """Return the influence at the last of the steps, where a service can compute it in about a second, else why not."""
    with subject.reading() as capture:
        if not capture.can_replay or not steps or steps[-1] < 1:
            return [], ""
        tokens = capture.length(steps[-1], place)
    if tokens > INFLUENCE_TOKENS:
        return [], f"A report asks for the influence in contexts of up to {INFLUENCE_TOKENS} tokens; this has {tokens}."
    try:
        found = influence_at(subject, place, steps[-1])
    except AttnscopeError as error:
        return [], f"The service gave no influence: {error.message}."
    return [{"step": steps[-1], **found}], ""


def _mean(rows: UInt8[np.ndarray, "row layer head slot"]) -> UInt8[np.ndarray, "row slot"]:
    """Return rows averaged over layers and heads."""
    weights: Float32[np.ndarray, "row layer head slot"] = from_u8(rows)
    cells = rows.shape[1] * rows.shape[2]
    flat = weights.reshape(len(rows), cells, rows.shape[-1])
    there = np.isfinite(flat).sum(axis=1)
    sums = np.nansum(flat, axis=1)
    means = np.divide(sums, there, out=np.full(there.shape, np.nan, np.float32), where=there > 0)
    return as_u8(means)


def _room(subject: Subject, rollout: Rollout) -> dict[str, Any]:
    """Return the environment's grid, or the reason why there is none."""
    try:
        return {"answer": QUESTIONS["room"](subject, {"env": str(rollout.place)})}
    except AttnscopeError as error:
        return {"refused": error.message}


def _transitions(read: Study, rollout: Rollout) -> dict[str, Any] | None:
    """Return the transitions of an environment; None where all of them would be too many."""
    if read.steps * len(read.envs) > TRANSITIONS:
        return None
    parts = []
    first = 0
    while first < read.steps:
        parts.append(transitions(read.capture, rollout, first, read.steps))
        first = parts[-1]["last"]
    joined: dict[str, Any] = {"first": 0, "last": read.steps}
    for name in parts[0]:
        if name not in joined:
            known = [part[name] for part in parts]
            joined[name] = None if None in known else [one for part in known for one in part]
    return joined


def _packed(frame: Frame) -> str:
    return base64.b64encode(zlib.compress(frame.encode(), DEFLATE)).decode()
