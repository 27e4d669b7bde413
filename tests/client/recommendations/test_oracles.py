"""No output of a capture proposes an oracle: terminal, text, CSV, JSON and page are searched for one."""

from __future__ import annotations

import csv
import json
import re
from types import ModuleType

import pytest
from typer.testing import CliRunner

import attnscope
from attnscope.cli.main import app
from attnscope.proposal import propose
from attnscope.recommendations.beside import Beside
from attnscope.recommendations.table import BOUNDS
from attnscope.report import write_report
from attnscope.report.screen import write_screen_report
from attnscope_model.strategies import candidates
from led import decided, screened

LOOKING = tuple(one.key for one in candidates() if not one.online and "-" not in one.key)
"""Rules that look at the whole context when they choose: oracles, where they choose before every decision."""

BARE = re.compile(rf"^ *(?:by [a-z ]+: )?(?:.*; )?({'|'.join(LOOKING)})\b(?! every \d)")
"""A rule named at the beginning of a row or in a list, without the steps between two of its choices."""


@pytest.fixture(scope="module")
def folder(request, tmp_path_factory):
    """Return the folder of a capture of a policy that gains something, so that rules are ranked and proposed."""
    conftest: ModuleType = request.config.pluginmanager.get_plugin(str(request.path.with_name("conftest.py")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnscope.reading.plan.HISTORIES", 64)
        yield conftest.write(tmp_path_factory.mktemp("oracles") / "a.zarr", conftest.recent, random=0.2)


@pytest.fixture(scope="module")
def capture(folder):
    """Return that capture."""
    return attnscope.open(folder)


def proposed_in(text: str) -> list[str]:
    """Return the lines of a text that name such a rule bare, those under the heading of bounds apart."""
    found, bounds = [], False
    for line in text.splitlines():
        bounds = line.startswith(f"-- {BOUNDS}") or (bounds and bool(line) and "evenly spaced:" not in line)
        if not bounds and BARE.match(line):
            found.append(line)
    return found


def test_the_search_finds_one():
    """A bare rule in a row, in a vote or after another is found; one that chooses seldom, or a bound, is not."""
    for line in ("tova  40 %", "  by departure: tova 40 %, keep (0.1)", "All votes name recency 40 %; h2o 40 %, keep."):
        assert proposed_in(line) == [line]
    assert not proposed_in("tova every 10  40 %\n  by departure: recency 40 %; h2o every 10 40 %, keep (0.1)")
    assert not proposed_in(f"-- {BOUNDS}:\ntova  12\nh2o  12")


@pytest.mark.parametrize("evidence", ["nothing", "a screen", "a decision"])
def test_no_output_proposes_an_oracle(capture, tmp_path, evidence):
    """Text, page, terminal and JSON, with and without evidence beside the capture; the screen has oracles as bounds."""
    screen = None if evidence == "nothing" else screened(capture)
    beside = Beside(
        decided(capture) if evidence == "a decision" else None, None, screen, None if screen is None else "e" * 36
    )
    write_report(capture, tmp_path, beside=beside)
    text = (tmp_path / "compression_recommendations.txt").read_text()
    page = (tmp_path / "report.html").read_text()
    assert not proposed_in(text)
    assert not proposed_in(page.partition('<pre id="recommendations">')[2].partition("</pre>")[0])
    document = json.loads((tmp_path / "compression_recommendations.json").read_text())
    for of in document["proposal"]["votes"].values():
        assert not [arm for arm in of if arm["strategy"]["name"] in LOOKING and arm["interval"] == 1]
    trials = propose(document, first=30).trials
    assert trials
    named = [rule.name for trial in trials if trial.interval == 1 for rule in trial.strategies]
    assert not set(named) & set(LOOKING)


def test_the_terminal_proposes_no_oracle(folder):
    """The command's own words, on a downloaded capture."""
    said = CliRunner().invoke(app, ["recommend", "--capture", str(folder)])
    assert said.exit_code == 0, said.output
    assert not proposed_in(said.stdout)
    assert "RULES THAT COULD BE DEPLOYED" in said.stdout


def test_a_screens_table_marks_every_oracle(capture, tmp_path):
    """The CSV holds oracles as what they are: each rule that looks before every decision is marked."""
    write_screen_report(screened(capture), tmp_path)
    with (tmp_path / "screen.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    every = [line for line in lines if line["strategy"].partition("(")[0] in LOOKING and line["interval"] == "1"]
    assert every
    assert {line["oracle"] for line in every} == {"True"}
    assert not proposed_in((tmp_path / "screen.txt").read_text())
