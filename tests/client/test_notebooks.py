"""Notebook views, and the examples, run as they stand."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

import attnscope
from attnscope.notebook import table

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
