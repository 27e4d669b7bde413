"""Cells of the matrix in one process: each consumer takes each capture, and a traceback is told from a sentence.

Run as ``python cells.py CELLS RESULTS``: the first is JSON, a list of [producer, place, consumer]; a place is a folder,
or the id of a job of the service that the environment names.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import pickle  # noqa: TID251 - a capture travels to a worker process as other programs send it
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import attnscope
from attnscope.cli.main import main
from attnscope_storage.errors import AttnscopeError

TRACEBACK = "TRACEBACK"


class RefusedError(Exception):
    """The command line said why not."""


def verb(*words: str) -> Callable[[str, Path], None]:
    """Return a consumer that runs a verb of the command line in a folder; ``{}`` is the capture."""

    def run(place: str, folder: Path) -> None:
        named = [place] if not Path(place).is_dir() else ["--capture", place]
        at = [part for word in words for part in (named if word == "{}" else [word.replace("OUT", str(folder / "o"))])]
        said = io.StringIO()
        with contextlib.redirect_stderr(said), patched(["attnscope", *at]):
            try:
                main()
            except SystemExit as end:
                if end.code:
                    raise RefusedError(said.getvalue().strip()) from end

    return run


@contextlib.contextmanager
def patched(argv: list[str]) -> Any:
    """Run with other arguments, and print nowhere: a terminal of the encoding that this process has, unseen."""
    before, out = sys.argv, sys.stdout
    sys.argv = argv
    sys.stdout = io.TextIOWrapper(io.BytesIO(), encoding=out.encoding, errors=out.errors)
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.argv, sys.stdout = before, out


def opened(place: str) -> Any:
    """Return the capture at a place."""
    return attnscope.open(place) if Path(place).is_dir() else attnscope.connect().job(place).capture()


def decision_rows(place: str, folder: Path) -> None:
    """Draw and save the decision rows of the last step."""
    from attnscope.figures.decision_rows import decision_rows as draw  # noqa: PLC0415 - reads matplotlibrc, in this cell
    from attnscope.figures.style import save  # noqa: PLC0415 - reads matplotlibrc, in this cell

    capture = opened(place)
    save(draw(capture, capture.steps_committed - 1), folder / "rows.png")


def influence(place: str, folder: Path) -> None:
    """Draw attention against influence at the last step."""
    from attnscope.figures.causal import causal_map  # noqa: PLC0415 - reads matplotlibrc, in this cell
    from attnscope.figures.style import save  # noqa: PLC0415 - reads matplotlibrc, in this cell

    capture = opened(place)
    save(causal_map(capture, [capture.steps_committed - 1]), folder / "influence.png")


def latents(place: str, _: Path) -> None:
    """Read the compressions of the first environment."""
    if len(opened(place).compressions()) == 0:
        raise AssertionError("no compression is there")


def screen(place: str, folder: Path) -> None:
    """Ask what a screen of the capture would cost; a folder is named in the place of a job."""
    verb("screen", place, "--dry-run")(place, folder)


def xarray(place: str, _: Path) -> None:
    """Open with xarray and read one array."""
    opened(place).to_xarray()["stats"]["entropy"][:1].to_numpy()


def total(content: bytes) -> float:
    """Return a number that a worker process reads from a pickled capture."""
    return float(pickle.loads(content).stats.entropy[0].sum())  # noqa: S301 - our own


@cache
def worker_process() -> Any:
    """Return one spawned process for all cells; it ends with this one."""
    return multiprocessing.get_context("spawn").Pool(1)


def worker(place: str, _: Path) -> None:
    """Send the capture to a worker process and compare its number."""
    capture = opened(place)
    got = worker_process().apply(total, (pickle.dumps(capture),))
    if got != float(capture.stats.entropy[0].sum()):
        raise AssertionError("the worker read another number")


def notebook(place: str, _: Path) -> None:
    """Show the capture in a notebook, and in a prompt."""
    capture = opened(place)
    if "<table>" not in capture._repr_html_() or not repr(capture):
        raise AssertionError("nothing is shown")


CONSUMERS: dict[str, Callable[[str, Path], None]] = {
    "summary": verb("summary", "{}"),
    "heatmap": verb("heatmap", "{}", "--out", "OUT"),
    "rows": decision_rows,
    "recommend": verb("recommend", "{}"),
    "report": verb("report", "{}", "--out", "OUT"),
    "compare": verb("compare", "{}", "{}", "--out", "OUT"),
    "influence": influence,
    "screen": screen,
    "latents": latents,
    "xarray": xarray,
    "worker": worker,
    "notebook": notebook,
}


def result(place: str, consumer: str) -> str:
    """Return ``result``, the sentence of a refusal, or a traceback."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            CONSUMERS[consumer](place, Path(folder))
        except (RefusedError, AttnscopeError) as refused:
            return f"refused: {refused}"
        except BaseException:  # noqa: BLE001 - whatever it is, it is the finding
            return f"{TRACEBACK} {traceback.format_exc()}"
    return "result"


def run(cells: Path, results: Path) -> None:
    """Run the cells of a file and write their results."""
    warnings.filterwarnings("error", category=EncodingWarning, module=r"attnscope")
    asked = json.loads(cells.read_text(encoding="utf-8"))
    found = [[producer, consumer, result(place, consumer)] for producer, place, consumer in asked]
    if worker_process.cache_info().currsize:
        worker_process().terminate()
        worker_process().join()
    results.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
