"""The tables of the page on policies and the cards of shipped policies, computed from stored returns."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float64

from attnscope_server.training.reporting import heading, interval
from attnscope_server.training.reporting import table as split_table
from attnscope_storage.wire import CheckpointInfo
from benchmarks.shipping import hours
from benchmarks.shipping.cards import card, draw_curves
from benchmarks.shipping.making import ROLLOUTS
from benchmarks.shipping.measured import Point, folders, points, published
from benchmarks.shipping.recipes import SHIPMENTS, Shipment
from benchmarks.study2.writing import table

SEED: Final = 0
"""Of the intervals, as `attnscope-server evaluate` draws them."""

Returns = Float64[np.ndarray, "seed task rollout episode"]


@dataclass(frozen=True)
class Told:
    """A line of the table: two spans of episodes, and what they are to return."""

    key: str
    early: tuple[int, int]
    """First and last episode, from 1."""
    late: tuple[int, int]
    aims: tuple[float | None, float | None] = (None, None)
    """Least mean returns of the two spans; of the late one a share of the optimum where it is below 1."""
    words: str = "none"


LINES: Final = (
    Told("darkroom-absolute", (6, 10), (41, 50), (15, 16.5), "15 and 16.5"),
    Told("darkroom-rotary", (6, 10), (41, 50), (15, 16.5), "15 and 16.5"),
    Told("darkroom-reference-layout", (6, 10), (41, 50)),
    Told("key-to-door", (1, 1), (6, 7), (None, 1.6), "1.6, while the window grows"),
    Told("darkroom-13", (6, 10), (11, 15), (None, 0.9), "90 % of the optimum"),
    Told("darkroom-13-discovery", (6, 10), (11, 15), (None, 0.9), "90 % of the optimum"),
    Told("darkroom-annealed", (6, 10), (41, 50), words="none: for comparison"),
    Told("darkroom-q-learning", (6, 10), (41, 50), words="none: for comparison"),
)
"""In the order of the page."""


def ends(shipment: Shipment) -> list[Point]:
    """Return the ends of a recipe's training seeds."""
    return [Point(shipment, plan, plan.recipe.steps) for plan in shipment.plans]


def shipped_end(shipment: Shipment) -> Point:
    """Return the end that is shipped."""
    return next(point for point in ends(shipment) if point.name in folders())


def returns_of(of: Sequence[Point], split: str) -> Returns | None:
    """Return the stored returns of several training seeds; None where one of them is not stored."""
    found = [published(point).get(split) for point in of]
    return None if any(one is None for one in found) else np.stack([one for one in found if one is not None])


def report(of: Sequence[Point], splits: Sequence[str]) -> str | None:
    """Return what `attnscope-server evaluate` prints of stored returns; None where they are not stored."""
    lines = [heading([point.name for point in of], ROLLOUTS)]
    for split in splits:
        returns = returns_of(of, split)
        if returns is None:
            return None
        optimal, random = _levels(of[0], split)
        lines.append(split_table(split, returns, optimal, random, SEED))
    return "\n".join(lines)


def measured(point: Point) -> str:
    """Return the measured part of a card: of all training seeds, where they are stored, and of the checkpoint."""
    every, own = ends(point.shipment), ("train", "held-out")
    parts = []
    if point.final and len(every) > 1 and returns_of(every, "held-out") is not None:
        parts = [report(every, ("validation",)), report(every, ("held-out",))]
    elif point.final:
        own = ("validation", *own)
    return "\n\n".join(part for part in (*parts, report([point], own)) if part)


def cards() -> dict[str, str]:
    """Return the card of every shipped policy whose returns are stored by the name of its checkpoint."""
    made = {}
    for point in points():
        if point.name in folders() and "train" in published(point):
            entry = (folders()[point.name] / "entry.json").read_text(encoding="utf-8")
            info = CheckpointInfo.model_validate_json(entry)
            made[point.name] = card(info, point.plan, point.shipment, measured(point), final=point.final)
    return made


def draw(images: Path) -> None:
    """Draw the returns of every shipped policy beside its card, and of each recipe into this folder."""
    keys = {shipment.title: key for key, shipment in SHIPMENTS.items()}
    for point in points():
        if point.name not in folders() or "train" not in published(point):
            continue
        every = ends(point.shipment) if point.final else [point]
        several = every if returns_of(every, "held-out") is not None else [point]
        splits = {"train": _split([point], "train"), "held-out": _split(several, "held-out")}
        picture = folders()[point.name] / "curves.png"
        draw_curves({"splits": splits}, point.shipment.title, picture)
        if point.final:
            shutil.copyfile(picture, images / f"policy-{keys[point.shipment.title]}.png")


def tables() -> dict[str, str]:
    """Return every table of the page by the name of its mark."""
    head = ("policy", "held-out tasks", "optimal", "random", "early", "late", "aim")
    timed = hours.published()
    return {
        "reached": table(head, _reached()),
        "hours": table(("training", "steps", "seeds", "CPU hours a seed", "CPU hours"), hours.lines(timed)),
    }


def _reached() -> Iterator[tuple[str, ...]]:
    for told in LINES:
        shipment = SHIPMENTS[told.key]
        every, own = ends(shipment), shipped_end(shipment)
        steps = f"{own.step:,} steps"
        if len(every) > 1 and (returns := returns_of(every, "held-out")) is not None:
            yield _line(told, f"{shipment.title}, **{len(every)} training seeds**, {steps}", returns, own)
        title = f"{shipment.title}, for this checkpoint: seed {own.plan.recipe.seed}, {steps}"
        single = returns_of([own], "held-out")
        if single is not None:
            yield _line(told, title, single, own)
        else:
            yield _told(told, f"{title}, by its card", printed(own, told), own)


def _line(told: Told, name: str, returns: Returns, point: Point) -> tuple[str, ...]:
    """Return a line of stored returns."""
    means = [returns[..., first - 1 : last].mean(axis=-1) for first, last in (told.early, told.late)]
    return _told(told, name, [(float(mean.mean()), *interval(mean, SEED)) for mean in means], point)


def printed(point: Point, told: Told) -> list[tuple[float, float, float]]:
    """Return the two spans of a line as a card has them that was printed when its policy was shipped.

    Raises
    ------
    LookupError
        The card lacks a span.
    """
    whole = (folders()[point.name] / "README.md").read_text(encoding="utf-8")
    own = whole.partition("For this checkpoint (")[2].partition("\nheld-out: ")[2]
    found = []
    for first, last in (told.early, told.late):
        of = re.search(rf"episodes {first}-{last} +([\d.]+) +\[([\d.]+), ([\d.]+)\]", own)
        if of is None:
            raise LookupError(f"the card of {point.name} has no episodes {first}-{last}")
        found.append((float(of[1]), float(of[2]), float(of[3])))
    return found


def _told(told: Told, name: str, spans: Sequence[tuple[float, float, float]], point: Point) -> tuple[str, ...]:
    optimal, random = _levels(point, "held-out")
    least = [aim if aim is None or aim >= 1 else aim * optimal for aim in told.aims]
    missed = any(aim is not None and mean < aim for (mean, _, _), aim in zip(spans, least, strict=True))
    word = ("**missed**: " if missed else "reached: ") * any(aim is not None for aim in least)
    cells = (
        f"{_span(*span)}: {mean:.2f} [{low:.2f}, {high:.2f}]"
        for span, (mean, low, high) in zip((told.early, told.late), spans, strict=True)
    )
    return name, str(len(point.tasks("held-out"))), f"{optimal:.2f}", f"{random:.2f}", *cells, word + told.words


def _span(first: int, last: int) -> str:
    return f"episode {first}" if first == last else f"episodes {first}–{last}"


def _levels(point: Point, split: str) -> tuple[float, float]:
    """Return what optimal and what random actions return on average over the tasks of a split."""
    tasks = point.tasks(split)
    optimal, random = ([getattr(task, f"{name}_return") for task in tasks] for name in ("optimal", "random"))
    return float(np.mean(optimal)), float(np.mean(random))


def _split(of: Sequence[Point], split: str) -> dict[str, Any]:
    """Return the part of an evaluation's report that a figure is drawn of."""
    optimal, random = _levels(of[0], split)
    return {"returns": returns_of(of, split), "optimal": [optimal], "random": [random]}
