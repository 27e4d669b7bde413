"""Returns of another program beside a trial: read from three kinds of files, without an interval or a verdict."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import typer

from attnscope.cli.arms import named_files
from attnscope.cli.boards import show_board
from attnscope.cli.tables import table_form
from attnscope.figures.trials.curves import trial_curves
from attnscope.foreign.refusals import ForeignFileError
from attnscope.foreign.returns import outside_arms, read_returns
from attnscope.measures.refusals import NotMeasurableError
from attnscope.report.trial import write_trial_report
from attnscope.trials.board import board
from attnscope.trials.outside import outside_arm
from canvas import faults

RETURNS = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize("kind", ["npy", "npz", "csv"])
def test_returns_are_read_from_each_kind_of_file(tmp_path, kind):
    """The same numbers come from an .npy, an .npz and a .csv file."""
    path = tmp_path / f"mine.{kind}"
    if kind == "npy":
        np.save(path, RETURNS)
    elif kind == "npz":
        np.savez(path, returns=RETURNS.astype(np.float32))
    else:
        np.savetxt(path, RETURNS, delimiter=",")
    assert np.array_equal(read_returns(path), RETURNS)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("ragged.csv", b"1,2\n3\n", "no table of numbers"),
        ("heading.csv", b"a,b\n1,2\n", "no table of numbers"),
        ("binary.csv", b"\xff\xfe\x00\x01", "no table of numbers"),
        ("empty.csv", b"", "shape"),
        ("holes.csv", b"1,nan\n3,4\n", "environment 0 in episode 1 is not finite"),
        ("pickle.pkl", b"\x80\x04N.", "no file of returns"),
        ("flat.npy", np.arange(3.0), r"of shape \(3,\)"),
        ("text.npy", np.array([["a"]]), "shape"),
        ("other.npz", {"lengths": np.zeros((2, 3))}, "holds lengths; wanted: returns"),
    ],
)
def test_other_files_are_refused_in_words(tmp_path, name, content, words):
    """Each refusal says what is wrong, and which files are read."""
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        np.save(path, content)
    with pytest.raises(ForeignFileError, match=words) as refused:
        read_returns(path)
    assert "holes" in name or "wanted: returns [env, episode]" in str(refused.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    """A missing .csv is refused as any other missing file."""
    with pytest.raises(ForeignFileError, match="there is no file"):
        read_returns(tmp_path / "mine.csv")


def test_the_arm_keeps_its_share_without_an_interval(plant):
    """Returns half-way between random and the reference keep half; the words say that one rollout has no interval."""
    made = plant((("none", None, 0.0), ("recency", 0.5, 0.2)), noise=0.1)
    middle = (made.returns[0].mean(axis=0) + made.random_return[:, None]) / 2
    one = outside_arm(made, "theirs", middle)
    assert one.kept == pytest.approx(0.5)
    assert one.mean == pytest.approx(middle.mean())
    assert "one rollout a task: no interval, no verdict" in one.words
    assert (one.to_json()["low"], one.to_json()["high"]) == (None, None)
    with pytest.raises(NotMeasurableError, match=r"expected returns of shape \(8, 20\) .* got \(20, 8\)"):
        outside_arm(made, "turned", middle.T)


def test_the_board_prints_the_arm(plant, tmp_path, capsys):
    """The terminal has its sentence, JSON its numbers."""
    made = plant((("none", None, 0.0), ("recency", 0.5, 0.2)), noise=0.1)
    np.save(tmp_path / "theirs.npy", made.returns[0].mean(axis=0))
    trial, given = SimpleNamespace(results=lambda: made), named_files([f"theirs={tmp_path / 'theirs.npy'}"])
    show_board(trial, as_json=False, returns=given)
    assert "theirs, imported returns against uncompressed: a return of" in " ".join(capsys.readouterr().out.split())
    show_board(trial, as_json=True, returns=given)
    stored = json.loads(capsys.readouterr().out)["imported_returns"]
    assert [(one["name"], one["kept"]) for one in stored] == [("theirs", pytest.approx(1.0))]
    assert stored[0]["difference"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("form", ["latex", "csv"])
def test_the_arm_has_a_row_in_tables_for_a_paper(plant, tmp_path, capsys, form):
    """The table of the conditions ends with the arm, its return and its share, and says why it has no verdict."""
    made = plant((("none", None, 0.0), ("recency", 0.5, 0.2)), noise=0.1)
    np.save(tmp_path / "theirs.npy", made.returns[0].mean(axis=0))
    token = table_form.set(form)
    try:
        show_board(SimpleNamespace(results=lambda: made), as_json=False, returns={"theirs": tmp_path / "theirs.npy"})
    finally:
        table_form.reset(token)
    line = next(one for one in capsys.readouterr().out.splitlines() if "theirs, imported returns" in one)
    assert f"{made.returns[0].mean():.2f}" in line
    assert "1.00" in line
    assert "one rollout a task: no interval, no verdict" in line


def test_a_report_of_a_grid_holds_the_arm(plant, tmp_path):
    """Page, text, CSV and JSON have a row of it, and the learning curves a line that its caption calls imported."""
    made = plant((("none", None, 0.0), ("recency", 0.5, 0.2)), noise=0.1)
    file = tmp_path / "theirs.npy"
    np.save(file, made.returns[1].mean(axis=0))
    write_trial_report(made, tmp_path / "out", returns={"theirs": file})
    text, page, lines = (
        (tmp_path / "out" / name).read_text()
        for name in ("trial_findings.txt", "trial_report.html", "trial_conditions.csv")
    )
    assert text.count("theirs, imported returns") == 2  # a sentence and a row
    row = page.split("<td>theirs, imported returns</td>")[1].split("</tr>")[0]
    assert "one rollout a task: no interval, no verdict" in row
    last = list(csv.DictReader(lines.splitlines()))[-1]
    assert (last["words"], last["kept_low"]) == ("one rollout a task: no interval, no verdict", "")
    assert float(last["kept"]) == pytest.approx(outside_arm(made, "theirs", made.returns[1].mean(axis=0)).kept)
    stored = json.loads((tmp_path / "out" / "trial_conditions.json").read_text())["imported_returns"]
    assert stored[0]["name"] == "theirs"
    drawn = trial_curves(board(made, samples=50, outside=outside_arms(made, {"theirs": file})), "reindex")
    assert "theirs, imported returns" in [one.get_text() for one in drawn.legends[0].get_texts()]
    assert faults(drawn) == []


@pytest.mark.parametrize("text", ["mine", "=mine.npy", "mine=", "a=b"])
def test_a_name_and_its_file_are_typed_once(text):
    """Names without a file, files without a name and names that come twice are refused."""
    with pytest.raises(typer.BadParameter, match="expected NAME=FILE"):
        named_files(["a=c", text])
