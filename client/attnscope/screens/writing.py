"""A screen's table as a file."""

from __future__ import annotations

from pathlib import Path

from attnscope.screens.board import WORDS, as_csv, said
from attnscope.screens.results import ScreenResults


def write_screen(results: ScreenResults, folder: Path) -> list[Path]:
    """Write a screen's table and the sentences beside it; return the files.

    Raises
    ------
    FileExistsError
        There is something of that name in the folder already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {"screen.csv": as_csv(results), "screen.txt": "\n".join([WORDS, *said(results), ""])}
    found = []
    for name, text in files.items():
        with (folder / name).open("x", encoding="utf-8") as file:
            file.write(text)
        found.append(folder / name)
    return found
