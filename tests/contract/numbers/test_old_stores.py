"""Stores of every kind that an older version wrote, with every verb that reads a downloaded store: no traceback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from attnscope.cli.main import app
from attnscope.kinds import view
from attnscope.kinds.view import view_of
from attnscope.page import views
from attnscope.page.rollouts import Rollout
from attnscope.page.subjects import Subject
from attnscope_storage.errors import AttnscopeError, StoreKindError
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.shades import as_u8
from attnscope_storage.verify import verify

GOLDEN = Path(__file__).parents[2] / "golden"
STORES = {kind: GOLDEN / f"{kind}-first-layout" for kind in ("capture", "screen", "trial")}
"""By kind, a store of the last version that wrote the first layout; `make_stores.py` there wrote them."""

OLDEST = {version: GOLDEN / f"capture-{version}" for version in ("v1", "v2")}
"""Captures of made-up arrays, without the documents of a job."""

LINES = {
    "summary": ("--capture CAPTURE",),
    "heatmap": ("--capture CAPTURE --out OUT",),
    "report": (
        "--capture CAPTURE --out OUT --heatmaps 1 --screen SCREEN",
        "--trial TRIAL --predictions CAPTURE --out OUT",
    ),
    "compare": ("--capture CAPTURE --capture CAPTURE --out OUT",),
    "recommend": ("--capture CAPTURE", "--capture CAPTURE --screen SCREEN --trial TRIAL"),
}
"""By verb that takes a downloaded store, how it is asked."""


LONG = {"report", "compare"}
"""Verbs that take seconds each."""


def taking_a_store() -> set[str]:
    """Return the verbs that have the option ``--capture``, by the command line's own list."""
    found = {}
    for name, command in get_command(app).commands.items():
        found[name] = {option for parameter in command.params for option in parameter.opts}
    return {name for name, options in found.items() if "--capture" in options}


def test_every_verb_that_takes_a_store_is_tried():
    """A new one is tried on old stores too; every kind of job has a store, or is read by its card alone."""
    assert taking_a_store() == LINES.keys()
    assert view_of("capture").opened_by == "attnscope.open"
    assert view._registered.keys() == {*STORES, "decision"}


@pytest.mark.parametrize(
    ("verb", "line"),
    [
        pytest.param(verb, line, marks=[pytest.mark.slow] if verb in LONG else [])
        for verb, lines in sorted(LINES.items())
        for line in lines
    ],
)
def test_every_verb_takes_an_old_store(tmp_path, verb, line):
    """Stores of the first layout, with the documents of their jobs, are read as new ones are."""
    named = {kind.upper(): str(path) for kind, path in STORES.items()} | {"OUT": str(tmp_path / "o")}
    ran = CliRunner().invoke(app, [verb, *(named.get(word, word) for word in line.split())])
    assert ran.exit_code == 0, f"{ran.output}\n{ran.exception!r}"


@pytest.mark.parametrize("kind", ["screen", "trial"])
def test_a_store_of_another_kind_is_named_as_what_it_is(kind):
    """An old screen or trial is refused by its kind where a capture is asked for."""
    ran = CliRunner().invoke(app, ["summary", "--capture", str(STORES[kind])])
    assert isinstance(ran.exception, StoreKindError)
    assert f"is a {kind}, not a capture" in str(ran.exception)


@pytest.mark.parametrize("version", OLDEST)
@pytest.mark.parametrize("verb", sorted(LINES))
def test_every_verb_says_what_a_store_without_documents_lacks(tmp_path, verb, version):
    """Arrays that no job wrote are named as what they are: one sentence, no traceback."""
    line = LINES[verb][0].split(" --screen")[0].replace("CAPTURE", str(OLDEST[version])).replace("OUT", str(tmp_path))
    ran = CliRunner().invoke(app, [verb, *line.split()])
    assert isinstance(ran.exception, AttnscopeError), ran.exception
    assert "ResolvedCapture" in str(ran.exception)


@pytest.mark.parametrize("kind", STORES)
def test_an_old_store_is_whole(kind):
    """Every chunk decodes and every array keeps its contract; it says that it is of the first layout."""
    reader = CaptureReader.open(STORES[kind])
    assert (reader.schema_version, reader.kind, reader.complete) == (1, kind, True)
    assert verify(reader).problems == []


def test_the_page_shows_an_old_capture():
    """Band, heads and the stored map are its rows and its map."""
    subject = Subject.of_folder(STORES["capture"])
    with subject.reading() as capture:
        rollout = Rollout(capture, 1)
        assert subject.about()["rowForm"] == "f16"
        assert len(views.band(capture, rollout, 0, 40).head["steps"]) == 40
        shown = views.heads(capture, rollout, 30, "rows").shades
        assert np.array_equal(shown, as_u8(capture.rows[30, 1, ..., :31].astype(np.float32)))
        assert views.one_map(capture, rollout, 19, (0, 0)).head["source"] == "stored"
