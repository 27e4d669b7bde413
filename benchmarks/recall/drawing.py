"""The picture of the page on RepeatPrevious: what every head attends to by age, from published arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from benchmarks.recall.subjects import SEEDS, SUBJECTS
from benchmarks.recall.writing import AGES, published
from benchmarks.study2.drawing import drawn

GAMMA: Final = 0.5
"""Of the scale of colours: the square root shows small weights too."""

CAPTION: Final = "Computed from docs/study/recall by python -m benchmarks.pages --pictures."


def draw() -> list[Path]:
    """Draw the picture and return its paths."""
    return drawn({"recall-attention": attended()})


def attended() -> Figure:
    """Return the heat map of attention: a row a head of each policy, a column an age."""
    rows, names, borders = [], [], []
    for subject in SUBJECTS.values():
        for seed, heads in zip(SEEDS, published(subject)["attention"], strict=True):
            rows += list(heads.reshape(-1, heads.shape[-1]))
            names += [
                f"{subject.name}, seed {seed}: layer {layer}, head {head}"
                if (layer, head) == (0, 0)
                else f"{layer}, {head}"
                for layer in range(heads.shape[0])
                for head in range(heads.shape[1])
            ]
            borders.append(len(rows))
    figure = Figure(figsize=(7.2, 7.4), dpi=110, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        np.array(rows, np.float64), aspect="auto", cmap="viridis", norm=PowerNorm(GAMMA, 0, 1), interpolation="nearest"
    )
    for border in borders[:-1]:
        axes.axhline(border - 0.5, color="white", linewidth=1.5)
    axes.set_yticks(range(len(names)), names, fontsize=6)
    axes.set_xticks([0, 10, AGES[0], 20, 30, 40, 51, 60, 70, 80, 90, 103])
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlabel(
        "age of the transition (0: the query itself); 15 and 16 show the card that is asked for", fontsize=8
    )
    axes.set_title("Attention of decisions over a full window", loc="left", fontsize=9)
    bar = figure.colorbar(image, ax=axes, shrink=0.6)
    bar.set_label("share of the head's attention (square-root scale)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    figure.supxlabel(CAPTION, fontsize=6)
    return figure
