"""One look for every figure: small sans-serif text, thin lines, colours that the colour-blind tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl

COLOURS = {"decision": "#D55E00", "boundary": "#FFFFFF", "text": "#222222", "muted": "#777777"}
"""From Okabe and Ito's palette."""

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "figure.titlesize": 10,
    "savefig.dpi": 200,
    "svg.hashsalt": "attnscope",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in attnscope's style inside this context."""
    with mpl.rc_context(RC):
        yield
