"""A screen's report: its whole table as a file, the sentences beside it, and its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from attnscope.errors import DownloadRefusedError
from attnscope.figures.screens.ages import departure_by_age
from attnscope.figures.screens.guide import guide
from attnscope.figures.screens.map import screen_map
from attnscope.figures.screens.packing import departure_by_compression
from attnscope.figures.screens.tokens import departure_by_tokens
from attnscope.figures.style import save
from attnscope.screens.board import WORDS, as_csv
from attnscope.screens.packing import packed_arms
from attnscope.screens.results import ScreenResults
from attnscope.screens.sentences import screen_sentences

FIGURES = {"screen_map": screen_map, "screen_departure_by_tokens": departure_by_tokens}
"""Figures by the names of their files."""

BY_AGE = {"screen_departure_by_age": departure_by_age, "screen_guide": guide}
"""Figures of a screen that left out parts by age."""


BY_COMPRESSION = {"screen_departure_by_compression": departure_by_compression}
"""Figures of a screen of a policy that packs its history."""


def figures_of(results: ScreenResults) -> Mapping[str, Callable[[ScreenResults], Figure]]:
    """Return the figures that a screen has, by the names of their files."""
    return FIGURES | (BY_AGE if results.bands else {}) | (BY_COMPRESSION if packed_arms(results) else {})


def write_screen_report(results: ScreenResults, folder: Path, form: str = "png") -> list[Path]:
    """Write a screen's table, its sentences and its figures into a folder; return the files.

    Parameters
    ----------
    form
        Ending of the figures: png, svg or pdf.

    Raises
    ------
    DownloadRefusedError
        The folder holds a file of such a name already.
    """
    drawn = figures_of(results)
    texts = {"screen.csv": as_csv(results), "screen.txt": "\n".join([WORDS, *screen_sentences(results), ""])}
    figures = {f"{name}.{form}": draw for name, draw in drawn.items()}
    there = [name for name in (*texts, *figures) if (folder / name).exists()]
    if there:
        raise DownloadRefusedError(f"{folder} holds {', '.join(there)} already")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name, draw in figures.items():
        save(draw(results), folder / name)
    return [folder / name for name in (*texts, *figures)]
