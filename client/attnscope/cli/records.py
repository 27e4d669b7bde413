"""Records in a terminal and in a pipe."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from attnscope.cli.tables import comma_separated, latex, table_form

GAP: Final = "  "
"""Between the columns of a table."""


def show_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print records: in a terminal in columns under titles, in a pipe one a line with tabs between the cells.

    A record that is wider than the terminal goes on in further lines. These break between cells only, never in a name.
    Where the command names a form of tables, they are printed in that form.
    """
    cells = [[" ".join(cell.split()) for cell in row] for row in rows]
    if (form := table_form.get()) is not None:
        sys.stdout.write({"latex": latex, "csv": comma_separated}[form](titles, cells))
        return
    if not sys.stdout.isatty():
        for row in cells:
            sys.stdout.write("\t".join(row) + "\n")
        return
    widest = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    room = shutil.get_terminal_size().columns
    for row in [list(titles), *cells]:
        sys.stdout.write("\n".join(_lines(row, widest, room)) + "\n")


def _lines(row: Sequence[str], widest: Sequence[int], room: int) -> list[str]:
    """Return a record in lines no longer than `room`, unless one cell is."""
    lines = [""]
    for cell, width in zip(row, widest, strict=True):
        padded = cell.ljust(width) + GAP
        if lines[-1].strip() and len((lines[-1] + padded).rstrip()) > room:
            lines.append(GAP)
        lines[-1] += padded
    return [line.rstrip() for line in lines]
