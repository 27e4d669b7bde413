"""A trial's figures, sentences and page."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import attnscope
from attnscope.cli.boards import _cells, show_board
from attnscope.cli.main import app
from attnscope.figures.trials.curves import trial_curves
from attnscope.figures.trials.kept_timeline import KEPT, LOST, POOLED, SAVED, states
from attnscope.figures.trials.pareto import front, pareto, speed_ratio
from attnscope.figures.trials.table import trial_table
from attnscope.figures.trials.words import labels_of, strategies_of
from attnscope.measures import NotMeasurableError
from attnscope.recommendations.attention.basis import gather
from attnscope.report.trial import shown_rows, write_trial_report
from attnscope.report.trial_findings import trial_findings, trial_text
from attnscope.report.trial_page import trial_page
from attnscope.study import study
from attnscope.trials.board import board
from attnscope.trials.reach import scope_words
from attnscope.trials.sameness import same_as
from attnscope.trials.selection import winner
from attnscope.trials.words import binding_words, number


@pytest.fixture(scope="module")
def made(trial):
    """Return the table."""
    return board(trial, samples=300)


def test_the_front_holds_what_nothing_beats_and_no_oracle(made):
    """Half of the tokens by recency; a tenth by recency, as tova's tenth is an oracle's."""
    found = front(made.rows[1:], lambda row: row.share.value)
    assert [row.condition.index for row in found] == [2, 1]
    by_speed = front(made.rows[1:], speed_ratio, cheap_is_low=False)
    assert [row.condition.index for row in by_speed] == [2, 1]


def test_figures_draw_what_the_table_holds(made):
    """Points of the Pareto figure, cells of the heat table, lines of the curves."""
    left, right = pareto(made).axes[:2]
    front_line = next(line for line in left.lines if line.get_gid() == "front")
    assert front_line.get_ydata() == pytest.approx([made.rows[at].verdict.kept.value for at in (2, 1)])
    assert len(right.lines) > 8
    cells = [text.get_text() for text in trial_table(made).axes[0].texts]
    assert f"{made.rows[4].verdict.kept.value:.2f}✗" in cells
    assert len(cells) == 8
    panels = trial_curves(made, "reindex").axes
    assert [axes.get_title(loc="left") for axes in panels[:3]] == ["recency", "tova (oracle)", "uniform"]
    assert panels[0].lines[0].get_ydata()[-1] == pytest.approx(made.results.returns[0][..., -4:].mean())


def test_kept_transitions_are_told_from_dropped_and_pooled_ones(plant):
    """By age, rewards marked: step 60 with the newest four kept, and a pooled token."""
    trial = plant()
    shown = states(trial, 4, 0, 40)
    rewarded = (59 - np.arange(40)) % 7 == 0
    assert shown[1, :4].tolist() == [SAVED if one else KEPT for one in rewarded[:4]]
    assert set(shown[1, 4:][rewarded[4:]].tolist()) == {LOST}
    trial.arrays["kept/first"][4, 1, 0, 0], trial.arrays["kept/last"][4, 1, 0, 0] = 30, 34
    assert states(trial, 4, 0, 40)[1, 25:30].tolist() == [POOLED] * 5
    assert states(trial, 4, 0, 40)[1, 30] in {LOST, LOST - 1}


def test_long_names_stay_apart(plant):
    """Two strategies whose texts begin alike are two lines."""
    trial = plant([("none", None, 0.0), ("a" * 40 + "x", 0.5, 0.0), ("a" * 40 + "y", 0.5, 0.0)])
    rows = board(trial, samples=50).rows
    assert len(set(labels_of(rows).values())) == 3
    assert len(strategies_of(rows)) == 2


def test_sentences_name_the_winner_and_what_attention_is_worth(made):
    """Numbers of the sentences are those of the table."""
    said = "\n".join(trial_findings(made, winner(made.results, samples=300)))
    assert "recency 50%" in said
    assert re.search(r"8 conditions: 2 non-inferior, 6 inferior, 0 inconclusive", said)
    assert "Of 2 conditions that choose by attention, 2 keep more" in said
    assert "2 times as fast at 64 environments with a full context" in said
    assert f"{made.rows[1].verdict.kept.value:.2f}" in said


def test_a_report_is_written_whole(trial, tmp_path):
    """Every file is there; the page needs no network and runs no script; names are escaped."""
    told = []
    written = write_trial_report(trial, tmp_path, tell=told.append)
    assert told == written
    assert {path.name for path in written} == {
        "trial_pareto.png", "trial_table.png", "trial_curves_reindex.png", "trial_kept.png", "trial_conditions.csv",
        "trial_conditions.json", "trial_findings.txt", "trial_report.html",
    }  # fmt: skip
    with Image.open(tmp_path / "trial_pareto.png") as drawn:
        assert drawn.width > 1000
    page = (tmp_path / "trial_report.html").read_text()
    assert "<script" not in page
    assert "<b>toy" not in page
    assert "default-src 'none'" in page
    parser = Counting()
    parser.feed(page)
    assert (parser.rows, parser.images) == (10, 4)
    assert len(list(csv.reader((tmp_path / "trial_conditions.csv").read_text().splitlines()))) == 10


class Counting(HTMLParser):
    """Counts table rows and pictures."""

    rows = images = 0

    def handle_starttag(self, tag, _attrs):
        """Count."""
        self.rows += tag == "tr"
        self.images += tag == "img"


def test_a_running_trial_is_reported_as_far_as_it_is(plant, tmp_path):
    """Two conditions, then only the uncompressed one."""
    write_trial_report(plant(until=2), tmp_path / "two")
    assert "2 of 9 conditions" in (tmp_path / "two" / "trial_report.html").read_text()
    written = write_trial_report(plant(until=1), tmp_path / "one")
    assert [path.suffix for path in written] == [".csv", ".json", ".txt", ".html"]


def test_kept_transitions_are_drawn_at_the_winners_budget(made):
    """The winner first, then what it beat."""
    rows = shown_rows(made, winner(made.results, samples=300))
    assert [row.condition.index for row in rows] == [1, 3, 5, 7]


def test_the_command_line_reports_a_downloaded_trial(stored, tmp_path):
    """The same files, in the folder that is named."""
    ran = CliRunner().invoke(app, ["report", "--trial", str(stored), "--out", str(tmp_path), "--json"])
    assert ran.exit_code == 0, ran.output
    files = json.loads(ran.output)["files"]
    assert str(tmp_path / "trial_report.html") in files
    assert "recency 50%" in (tmp_path / "trial_findings.txt").read_text()


def test_predictions_of_another_checkpoint_are_refused(stored, planted, hostile_root, tmp_path):
    """Nothing of what one policy looks at says what another loses."""
    elsewhere = hostile_root(
        planted(),
        tmp_path / "other.zarr",
        lambda root, _: root["attributes"]["resolved"].update(checkpoint_id="d" * 64),
    )
    other = gather(study(attnscope.open(elsewhere)))
    with pytest.raises(NotMeasurableError, match="expected a trial of the capture's checkpoint AD-planted@1"):
        other.predict(attnscope.open_trial(stored).results())


def test_every_output_has_the_same_words(plant):
    """Terminal, text, table and page give each condition one verdict, one number and one number where it binds."""
    losses = [("none", None, 0.0), ("recency", 20, 0.02), ("tova", 0.5, 0.1), ("uniform", 20, 0.3)]
    made = board(plant(losses, noise=0.4))
    csv_rows = list(csv.DictReader(io.StringIO(made.csv())))
    text, shown = trial_text(made, None), trial_page(made, None, {})
    page = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", shown)).split())
    terminal = [_cells(row, "") for row in made.rows]
    words = [row.words for row in made.rows]
    assert {"baseline", "inferior, jointly"} <= set(words)
    for place, row in enumerate(made.rows):
        line = next(line for line in text.splitlines() if line.startswith(row.name))
        assert csv_rows[place]["words"] == words[place] == terminal[place][-1]
        for said in (words[place], number(row.verdict.kept), binding_words(row)):
            assert said in line
            assert said in page
            assert said in terminal[place]
    assert made.rows[1].binds_from > 0
    assert binding_words(made.rows[1]).endswith(f"from episode {made.rows[1].binds_from + 1}")
    assert float(csv_rows[1]["kept_binding"]) == made.rows[1].binding.kept.value
    assert binding_words(made.rows[2]) == "–"  # a share binds from the start
    assert text.splitlines()[0].endswith(f"these {len(made.results.tasks)} tasks")
    assert "no speed-up is claimed there" in " ".join(text.split())


def test_a_whole_split_is_said_in_every_form(plant, capsys):
    """The scope names the split where the trial ran on all of its tasks, and not where a part of them is looked at.

    Terminal, text, page, table and JSON have one sentence.
    """
    found = plant(seeds=2)
    resolved = found.resolved.model_copy(update={"whole_split": "held-out"})
    whole = dataclasses.replace(found, resolved=resolved)
    tasks = len(resolved.tasks)
    said = f"Verdicts hold for these {tasks} tasks, all of the held-out split."
    made = board(whole, samples=100)
    show_board(SimpleNamespace(results=lambda: whole), as_json=False)
    assert said in " ".join(capsys.readouterr().out.split())
    assert said in " ".join(trial_text(made, None).split())
    assert said in html.unescape(trial_page(made, None, {}))
    assert {line["reach"] for line in csv.DictReader(io.StringIO(made.csv()))} == {said}
    assert json.loads(made.json())["reach"] == said
    assert scope_words(whole.cut(tasks=range(tasks - 1)), "these tasks") == f"for these {tasks - 1} tasks"
    assert scope_words(found, "these tasks") == f"for these {tasks} tasks"


def test_conditions_that_are_one_are_said_to_be(plant):
    """Two names for the same transitions everywhere are one condition: named in the text, and counted once."""
    losses = [("none", None, 0.0), ("recency", 0.5, 0.1), ("uniform", 0.5, 0.3)]
    results = plant(losses)
    for name in ("rollout/action", "trial/kept", "kept/first", "kept/last"):
        results.arrays[name][2] = results.arrays[name][1]
    assert same_as(results) == {2: 1}
    assert "Kept and did the same as another (in brackets): uniform 50% (recency 50%)." in trial_text(
        board(results), None
    ).replace("\n  ", " ")
    results.arrays["rollout/action"][2, 0, 0, 0] += 1
    assert same_as(results) == {}
