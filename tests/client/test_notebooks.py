"""Notebook views, and the examples, run as they stand."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import attnscope
from attnscope.decisions.decision import Decision
from attnscope.errors import NotReplayableError
from attnscope.notebook import table
from attnscope.screens.screen import Screen
from attnscope.trials.trial import Trial
from evidence import card_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name: str, monkeypatch, *arguments: str) -> None:
    """Run an example."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_every_example_is_run_here():
    """A new example needs a line below."""
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names <= {"look_at_a_job.py", "measure_it_yourself.py"} | OTHERS


OTHERS: set[str] = {"compress_a_loop.py"}
"""Examples that other tests run."""


def test_looking_at_a_job(serve, planted, monkeypatch, tmp_path, capsys):
    """The script connects, prints and draws."""
    monkeypatch.setenv("ATTNSCOPE_URL", serve(planted()).url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    run("look_at_a_job.py", monkeypatch, str(tmp_path))
    assert "return by episode: [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]" in capsys.readouterr().out
    assert {path.suffix for path in tmp_path.iterdir()} == {".png"}


def test_measuring_it_yourself(planted, monkeypatch, capsys):
    """The script says how many positions a head needs; the planted decay of head 0.0 needs six."""
    run("measure_it_yourself.py", monkeypatch, str(planted()))
    said = capsys.readouterr().out
    assert "80 % of its attention lies in 6" in said
    assert "uniform attention over 12 tokens needs 10" in said


def test_notebooks_show_escaped_tables(serve, planted, monkeypatch):
    """Jobs and captures are tables; what the service says is text, never markup."""
    evil = "<script>alert(1)</script>"
    capture = attnscope.open(planted(name=evil))
    shown = capture._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "attention/rows" in shown
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    job = attnscope.connect(serve(planted()).url).job("last")
    assert "AD-toy@1" in job._repr_html_()
    assert 'value="1.0000"' in job._repr_html_()


@pytest.mark.parametrize("share", [-1.0, 0.5, 7.0])
def test_bars_stay_inside(share):
    """A share that a server made up cannot leave the bar."""
    assert 'max="1"' in table("a", {}, share)


def test_every_end_of_a_cell_is_shown(serve, planted, monkeypatch, tmp_path):
    """A service lists its jobs without its address or key; figures and screens are pictures."""
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    server = serve(planted())
    service = attnscope.connect(server.url)
    said = service._repr_html_() + repr(service)
    assert "AD-toy@1" in said
    assert "right-key" not in said
    assert server.url not in said
    capture = attnscope.open(planted())
    assert capture.heatmap(59)._repr_png_().startswith(b"\x89PNG")
    assert "report.html" in {path.name for path in capture.report(tmp_path / "report")}


def test_stores_of_every_kind_are_tables():
    """Trials, screens and decisions show their state; a decision its answer; what a store says is text."""
    evil = "<b>here</b>"
    resolved = SimpleNamespace(checkpoint_name=evil, environment_id="e", conditions=range(2), envs=range(4))
    arms = [SimpleNamespace(index=0), SimpleNamespace(index=1, text="recency", budget=0.4, positions="keep")]
    common = {"resolved": resolved, "job": "j" * 36, "state": "running"}
    trial = SimpleNamespace(**common, conditions=arms, conditions_committed=1)
    screen = SimpleNamespace(**common, arms=arms, rollouts_committed=1)
    decision = SimpleNamespace(**common, card=card_of(), answer=card_of().sentence, requests_committed=3)
    shown = [kind._repr_html_(one) for kind, one in ((Trial, trial), (Screen, screen), (Decision, decision))]
    assert "to come" in shown[0]
    assert 'value="0.2500"' in shown[1]
    assert "Compress to recency 20" in shown[2]
    assert not any("<b>here" in one or "<img" in one for one in shown)
    assert Decision._repr_png_(decision).startswith(b"\x89PNG")


def test_a_downloaded_capture_cannot_be_screened(planted):
    """It says that the policy is needed, and where that is."""
    with pytest.raises(NotReplayableError, match="needs a service"):
        attnscope.open(planted()).screen()
