"""A run that was watched, compared on the laptop: its checkpoints as one set, from the stores that the watch left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attnscope.cli.main import app
from attnscope.comparison.series import read_series
from attnscope_server.following.follow import LOG, following
from attnscope_server.following.screening import Watched
from reading_here import reading_here

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "ckpt-causal.pt"
ASKED = Watched(causal=True, split="train", tasks=(0, 1), replicas=2, episodes=2, budgets=(0.25,), decisions=8)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Return a run of two checkpoints that was watched."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    for step in (5, 70):
        shutil.copy(GOLDEN, folder / f"ckpt-{step}.pt")
    with reading_here(), following(folder, ASKED, tensorboard=False) as follower:
        assert follower.look() == 2
    return folder


def test_a_run_folder_is_one_set_over_training(run, tmp_path):
    """The verb takes the folder alone and writes table and figure; equal checkpoints give equal points."""
    found = CliRunner().invoke(app, ["compare", str(run), "--out", str(tmp_path)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    assert (tmp_path / "series.png").stat().st_size > 10_000
    series = read_series(run)
    assert series.steps == (5, 70)
    assert {line.kind for line in series.lines} == {"return", "attention", "departures"}
    for line in series.lines:
        assert repr(line.points[0]) == repr(line.points[1]), line.name  # an unknown end is NaN


def test_the_laptop_and_the_log_give_one_value(run):
    """The late return and the departures of an episode are those that the watch logged."""
    logged = json.loads((run / "attnscope-watch" / LOG).read_text().splitlines()[0])
    lines = {line.name: line.points[0].value for line in read_series(run).lines}
    assert lines["late return"] == pytest.approx(logged["return/late"])
    named = [name for name in logged if name.startswith("departures an episode/recency")]
    assert [lines[name] for name in lines if name.startswith("recency 25%")] == pytest.approx(
        [logged[one] for one in named]
    )
