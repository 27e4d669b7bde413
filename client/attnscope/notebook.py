"""Services, jobs and stored results in a notebook: small tables, with every text of the service escaped."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from attnscope.progress import describe, share_of
from attnscope.provenance import Origin
from attnscope_storage.wire import Job
from attnscope_storage.wire.contract import imported

if TYPE_CHECKING:
    import numpy as np


def table(title: str, rows: Mapping[str, object], bar: float | None = None) -> str:
    """Return HTML of a title, a progress bar for a share from 0 to 1, and a table; all text is escaped."""
    cells = "".join(
        f'<tr><th style="text-align:left">{html.escape(name)}</th>'
        f'<td style="text-align:left">{html.escape(str(value))}</td></tr>'
        for name, value in rows.items()
    )
    meter = "" if bar is None else f'<progress value="{min(max(bar, 0.0), 1.0):.4f}" max="1"></progress>'
    return f"<div><b>{html.escape(title)}</b> {meter}<table>{cells}</table></div>"


def job_html(job: Job) -> str:
    """Return a job as HTML: kind, state, progress, and the reason of a failure."""
    rows: dict[str, object] = {
        "checkpoint": job.resolved.checkpoint_name,
        "environment": job.resolved.environment_id,
        "size": job.resolved.size,
        "progress": describe(job),
        "label": job.label or "–",
    }
    if job.failure is not None:
        rows["failure"] = f"{job.failure.title}: {job.failure.detail}"
    return table(f"{job.kind} {job.id}", rows, share_of(job))


class Described(Protocol):
    """An array that can be described without being read."""

    dtype: np.dtype[Any]
    dims: tuple[str, ...]
    shape: tuple[int, ...]


def described(arrays: Mapping[str, Described]) -> dict[str, str]:
    """Return the type and the axes of each array, in words."""
    axes = {name: dict(zip(one.dims, one.shape, strict=True)) for name, one in arrays.items()}
    return {name: f"{one.dtype} {axes[name]}" for name, one in arrays.items()}


def capture_html(origin: Origin, arrays: Mapping[str, Described]) -> str:
    """Return a capture as HTML: its origin and its arrays."""
    rows = {"source": origin.source, "steps": f"{origin.committed} of {origin.steps}", **described(arrays)}
    return table(f"capture {origin.job[:8]}", rows, origin.committed / max(1, origin.steps))


def picture_of(figure: str, *given: object) -> bytes:
    """Return the PNG of a figure that a function draws.

    Parameters
    ----------
    figure
        Import path of the function: it lies in a room that imports the caller's.
    given
        Its arguments.
    """
    content: bytes = imported(figure)(*given)._repr_png_()
    return content
