"""The notebooks of examples run as they stand, in small, against one service; saved outputs name no key and no path."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from attnscope_server.serving import Running, serve_background
from attnscope_server.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
BOOKS = ("first_look", "what_may_it_forget", "own_checkpoint")
EXECUTED = ("first_look", *(pytest.param(name, marks=pytest.mark.slow) for name in BOOKS[1:]))
"""CI runs the first one; each of the others takes half a minute."""
SMALLER = {
    "episodes = 12": "episodes = 2",
    "decisions=64": "decisions=8",
    "runs/ckpt-1000.pt": str(ROOT / "tests" / "golden" / "ckpt-causal.pt"),
}
"""Changes of the tests: the length of rollouts, the number of decisions, and the file of one's own."""

KEY = "a-fixed-key-for-the-notebooks"

pytestmark = pytest.mark.service


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    """Return the data root of the service."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="session")
def service(root) -> Iterator[Running]:
    """Return one service for all notebooks; the second one looks at what the first one captured."""
    settings = Settings(data_root=root, port=0, announce=False, threads=1, durable=False, api_key=KEY)
    with serve_background(settings) as running:
        yield running


@pytest.fixture(scope="session")
def executed(service, root, tmp_path_factory) -> Callable[[str], nbformat.NotebookNode]:
    """Return a function that runs every cell of a notebook, once; the second one needs the first one's capture."""
    work = tmp_path_factory.mktemp("work")
    variables = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ATTNSCOPE_URL": service.url,
        "ATTNSCOPE_API_KEY": KEY,
        "ATTNSCOPE_SERVER_DATA_ROOT": str(root),
    }

    @cache
    def run(name: str) -> nbformat.NotebookNode:
        if name == "what_may_it_forget":
            run("first_look")
        book = nbformat.read(ROOT / "examples" / f"{name}.ipynb", as_version=4)
        for cell in book.cells:
            for original, small in SMALLER.items():
                cell.source = cell.source.replace(original, small)
        with pytest.MonkeyPatch.context() as changed:
            for variable, value in variables.items():
                changed.setenv(variable, value)
            client = NotebookClient(
                book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(work)}}
            )
            client.execute()
        return book

    return run


def outputs(book: nbformat.NotebookNode, mime: str) -> list[str]:
    """Return the outputs of a media type, in order."""
    shown = [output for cell in book.cells for output in cell.get("outputs", [])]
    return [output["data"][mime] for output in shown if mime in output.get("data", {})]


def test_every_notebook_is_run_here():
    """A new one needs a place in the list."""
    assert {path.stem for path in (ROOT / "examples").glob("*.ipynb")} == set(BOOKS)


@pytest.mark.parametrize("name", BOOKS)
def test_a_notebook_is_stored_without_outputs(name):
    """A difference between two versions is one of its text; each cell has a stable id."""
    book = json.loads((ROOT / "examples" / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert all(cell.get("outputs", []) == [] and cell.get("execution_count") is None for cell in book["cells"])
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])


@pytest.mark.parametrize("name", EXECUTED)
def test_what_is_saved_names_neither_key_nor_address(executed, service, name):
    """Outputs and the state of widgets travel with a notebook."""
    saved = nbformat.writes(executed(name))
    assert KEY not in saved
    assert service.url not in saved


def test_a_bar_moves_while_a_job_is_awaited(executed):
    """Its last state stays in the cell."""
    bars = [one for one in outputs(executed("first_look"), "text/html") if "<progress" in one and "succeeded" in one]
    assert bars


@pytest.mark.parametrize("name", [EXECUTED[0], EXECUTED[2]])
def test_a_picture_stands_in_for_the_page(executed, name):
    """The widget's cell holds a PNG for readers without a kernel, and the widget for those with one."""
    last = next(cell for cell in executed(name).cells if "capture.look(" in cell.source)
    kinds = [kind for output in last.outputs for kind in output["data"]]
    assert "image/png" in kinds
    assert "application/vnd.jupyter.widget-view+json" in kinds


@pytest.mark.slow
def test_screen_and_ladder_are_pictures(executed):
    """A screen, its two figures and the ladder."""
    assert len(outputs(executed("what_may_it_forget"), "image/png")) >= 4
    assert any("departs" in one for one in outputs(executed("what_may_it_forget"), "text/html"))
