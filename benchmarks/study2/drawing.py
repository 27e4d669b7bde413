"""The three figures of the second study's page, drawn from published arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnscope.figures.look import Picture, styled
from attnscope.figures.style import COLOURS, SERIES, finish, save
from attnscope.report.report import small_png
from benchmarks.study2.measures import kept_of, regrets, within_budgets, within_rules
from benchmarks.study2.published import Published

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images" / "study"
CAPTION = "Computed from docs/study/second by python -m benchmarks.study2 write; 95 % intervals."
LEAST, MOST = -0.3, 1.5
"""Kept shares that are drawn, where nothing else is said; others stand at the edge."""


def draw(policies: Sequence[Published], to: Path = IMAGES) -> list[Path]:
    """Draw the figures of the second study and return their paths."""
    return drawn(
        {"second-kept": kept(policies), "second-ranks": ranks(policies), "second-regret": regret(policies)}, to
    )


def drawn(figures: Mapping[str, Figure], to: Path = IMAGES) -> list[Path]:
    """Write figures by their names and return their paths."""
    to.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        path = to / f"{name}.png"
        path.write_bytes(small_png(figure, save(figure, path)))
        paths.append(path)
    return paths


def kept(policies: Sequence[Published], caption: str = CAPTION, most: float = MOST) -> Figure:
    """Draw kept share against the count kept, a panel a policy, the race's picks with their intervals.

    Parameters
    ----------
    most
        Largest share that is drawn; larger ones stand at the edge.
    """
    with styled():
        down = -(-len(policies) // 4)
        figure = Picture(figsize=(9.0, 0.6 + 2.0 * down), layout="constrained")
        panels = figure.subplots(down, 4, squeeze=False, sharey=True)
        for axes, policy in zip(panels.flat, policies, strict=False):
            _kept_panel(axes, policy, most)
        for axes in panels.flat[len(policies) :]:
            axes.set_axis_off()
        for axes in panels[:, 0]:
            axes.set_ylabel("kept share")
        figure.supxlabel("transitions kept", fontsize="small")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=3)
        return finish(figure, "Kept share on held-out tasks: every arm, and what the race picked", caption)


def _kept_panel(axes: Axes, policy: Published, most: float) -> None:
    shares = np.clip(policy.kept(), LEAST, most)
    counts = np.array([arm.budget for arm in policy.arms], np.float64)
    for place, marker in (("keep", "o"), ("reindex", "x")):
        mine = np.array([arm.positions == place for arm in policy.arms])
        axes.scatter(
            counts[mine], shares[mine], s=12, marker=marker, color=COLOURS["muted"], linewidths=0.7, label=place
        )
    for count, arm in zip(policy.subject.counts, policy.picks, strict=True):
        found = kept_of(policy, arm)
        ends = np.clip([found.low, found.high], LEAST, most)
        point = float(np.clip(found.point, LEAST, most))
        axes.plot([count * 1.06] * 2, ends, color=COLOURS["first"])
        first = count == policy.subject.counts[0]
        axes.plot([count * 1.06], [point], "s", color=COLOURS["first"], markersize=4, label="pick" if first else None)
    axes.axhline(0.95, color=COLOURS["second"], linewidth=0.6, linestyle="--")
    axes.set(xscale="log", ylim=(LEAST - 0.05, most + 0.05), title=policy.subject.title)
    axes.set_xticks(policy.subject.counts, [str(count) for count in policy.subject.counts])
    axes.minorticks_off()


def ranks(policies: Sequence[Published], caption: str = CAPTION, inside: Sequence[str] = ("departure",)) -> Figure:
    """Draw rank correlations with cost, within a rule and within a budget, beside their ceilings.

    Parameters
    ----------
    inside
        Votes that are drawn within a rule.
    """
    with styled():
        figure = Picture(figsize=(9.0, 0.9 + 0.42 * len(policies)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        for row, policy in enumerate(policies):
            for number, name in enumerate(inside):
                own, at = within_rules(policy, name), row + (number - (len(inside) - 1) / 2) * 0.22
                _dot(left, at, own.found.value, own.found.low, own.found.high, SERIES[number], None if row else name)
            _ceiling(left, row, own.ceiling, "ceiling" if not row else None)
            for number, (name, one) in enumerate(within_budgets(policy).items()):
                at, label = row + (number - 1) * 0.22, name if not row else None
                _dot(right, at, one.found.value, one.found.low, one.found.high, SERIES[number], label)
                _ceiling(right, row, one.ceiling, None)
        left.axvline(0.6, color=COLOURS["muted"], linewidth=0.6, linestyle="--")
        for axes in (left, right):
            axes.axvline(0, color=COLOURS["muted"], linewidth=0.6)
            axes.set(xlim=(-1.05, 1.05), xlabel="Spearman with measured cost")
        left.set(title="within a rule, over count × positions")
        right.set(title="within a count and positions, over rules")
        left.set_yticks(range(len(policies)), [policy.subject.title for policy in policies])
        left.invert_yaxis()
        handles = [pair for axes in (left, right) for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
        by_label = {label: handle for handle, label in handles}
        figure.legend(list(by_label.values()), list(by_label), loc="outside lower right", ncols=5)
        return finish(figure, "Do departures and votes order costs?", caption)


def regret(policies: Sequence[Published], caption: str = CAPTION) -> Figure:
    """Draw the regret of the race's pick, of each vote's first choice and of recency."""
    names = ("the race's pick", "first by departure", "first by signed loss", "first by retained attention", "recency")
    with styled():
        figure = Picture(figsize=(8.5, 0.9 + 0.5 * len(policies)), layout="constrained")
        axes = figure.subplots()
        for row, policy in enumerate(policies):
            found = regrets(policy)
            for number, name in enumerate(name for name in names if name in found):
                loss, at = found[name], row + (number - 2) * 0.15
                label = name if not row else None
                low, high = np.clip([loss.low, loss.high], -0.3, 1.0)
                _dot(axes, at, float(np.clip(loss.value, -0.3, 1.0)), low, high, SERIES[names.index(name)], label)
        axes.axvline(0.05, color=COLOURS["muted"], linewidth=0.6, linestyle="--")
        axes.axvline(0.10, color=COLOURS["second"], linewidth=0.6, linestyle="--")
        axes.axvline(0, color=COLOURS["muted"], linewidth=0.6)
        axes.set(xlim=(-0.32, 1.02), xlabel="kept share lost to the best arm of a count, mean over counts")
        axes.set_yticks(range(len(policies)), [policy.subject.title for policy in policies])
        axes.invert_yaxis()
        figure.legend(loc="outside right upper")
        return finish(figure, "Regret of the choices; aim at .05, failed beyond .10", caption)


def _dot(axes: Axes, at: float, value: float, low: float, high: float, colour: str, label: str | None) -> None:
    axes.plot([low, high], [at, at], color=colour, linewidth=1.0)
    axes.plot([value], [at], "o", color=colour, markersize=3.5, label=label)


def _ceiling(axes: Axes, at: float, value: float, label: str | None) -> None:
    axes.plot([value], [at], "|", color=COLOURS["text"], markersize=12, label=label)
