"""Tables as files of a paper: LaTeX for booktabs, or comma-separated values. Knows no verb."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Final, Literal

Form = Literal["latex", "csv"]

table_form: ContextVar[Form | None] = ContextVar("table_form", default=None)
"""Form in which the running command prints its tables; None: as people read them."""

ESCAPED: Final = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "°": r"\textdegree{}", "†": r"\dag{}", "×": r"$\times$",
    "±": r"$\pm$", "−": r"$-$", "–": "--", "…": r"\dots{}", "Δ": r"$\Delta$", "→": r"$\to$", "≥": r"$\geq$",
    "≤": r"$\leq$", "✓": r"\checkmark{}", "²": r"\textsuperscript{2}", "∞": r"$\infty$",
}  # fmt: skip
"""Characters that LaTeX reads as something else, or that its usual fonts lack."""

_NUMBER: Final = re.compile(r"[+\-−–]?\d|[–]$")


def escaped(text: str) -> str:
    """Return a text as LaTeX prints it."""
    return "".join(ESCAPED.get(one, one) for one in text)


def latex(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""Return a ``tabular`` with the rules of booktabs; columns of numbers are aligned to the right.

    Parameters
    ----------
    titles
        One a column.
    rows
        Cells, as many a row as there are titles.
    """
    columns = zip(*rows, strict=True) if rows else [()] * len(titles)
    aligned = "".join("r" if of and all(map(_NUMBER.match, of)) else "l" for of in columns)
    lines = [f"\\begin{{tabular}}{{{aligned}}}", "\\toprule", _line(titles), "\\midrule"]
    return "\n".join([*lines, *map(_line, rows), "\\bottomrule", "\\end{tabular}"]) + "\n"


def comma_separated(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the titles and the rows as comma-separated values."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([list(map(str.strip, titles)), *rows])
    return text.getvalue()


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"
