"""Maps of any step: stored ones from the store, others replayed, and what is said where neither can be."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import attnscope
from attnscope.cli.main import app
from attnscope.errors import MapNotSampledError, NotReplayableError, UnexpectedAnswerError


@pytest.fixture
def capture(fake):
    """Return the fake service's capture."""
    with attnscope.connect(fake.url, "right-key") as service:
        yield service.job("last").capture()


def asked(fake) -> list[str]:
    """Return what the maps route was asked."""
    return [path for path in fake.asked if "/maps?" in path]


def test_a_sampled_step_is_read_and_any_other_replayed(capture, fake):
    """Both have the same axes; a stored one is float16 and asks nothing to be replayed."""
    stored = capture.map(89, env=1)
    assert (stored.dtype, stored.shape) == (np.float16, (2, 2, 30, 30))
    assert asked(fake) == []
    replayed = capture.map(12, env=1)
    assert (replayed.dtype, replayed.shape) == (np.float32, (2, 2, 13, 13))
    assert "step=12&env=1&kind=weights&layers=0%2C1&heads=0%2C1" in asked(fake)[0]
    assert capture.map(12, 1, 0, env=1).shape == (13, 13)
    assert capture.map(12, 1).shape == (2, 13, 13)


def test_a_replayed_map_is_fetched_once_and_belongs_to_the_caller(capture, fake):
    """A committed step never changes; what a caller does to its map changes no other's."""
    capture.map(50)[:] = 0
    assert capture.map(50)[0, 0, 3, 0] == np.float32(0.25)
    assert len(asked(fake)) == 1


def test_other_kinds_have_their_axes(capture, fake):
    """Value-weighted is always replayed, a rollout has no heads, leave-one-out a number a transition."""
    assert capture.map(89, kind="value-weighted").shape == (2, 2, 30, 30)
    assert capture.map(89, 1, kind="rollout").shape == (30, 30)
    assert "kind=rollout&layers=1%3A2" in asked(fake)[-1]
    assert capture.leave_one_out(9).tolist() == list(range(9))
    assert "heads" not in asked(fake)[-1]
    capture.leave_one_out(9, positions="mask")
    assert "positions=mask" in asked(fake)[-1]


def test_an_answer_of_another_shape_is_refused(capture):
    """An answer to another question is never taken for the right one."""
    with pytest.raises(UnexpectedAnswerError):
        capture.leave_one_out(9, transitions=[3])


def test_offline_says_what_is_stored_and_how_to_get_the_rest(stored):
    """A downloaded capture names the sampled steps and the way to a service."""
    offline = attnscope.open(stored)
    with pytest.raises(MapNotSampledError, match=r"stored are: 4, 89.*attnscope\.connect\(\)\.job\('1111"):
        offline.map(5)
    with pytest.raises(NotReplayableError, match="the checkpoint is needed"):
        offline.map(89, kind="value-weighted")
    with pytest.raises(NotReplayableError, match="leave-one-out"):
        offline.leave_one_out(5)


def test_an_older_service_is_told_apart(capture, fake):
    """If the route does not exist, the stored steps are named as before."""
    fake.replays = False
    with pytest.raises(MapNotSampledError, match=r"4, 89.*older version"):
        capture.map(5)
    assert capture.map(4).shape == (2, 2, 5, 5)


def test_the_heatmap_command_draws_any_step(fake, monkeypatch, tmp_path):
    """A step that was not sampled is drawn like one that was; offline the command says why not, with status 7."""
    monkeypatch.setenv("ATTNSCOPE_URL", fake.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    drawn = CliRunner().invoke(app, ["heatmap", "last", "--step", "17", "--out", str(tmp_path)])
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "attention_heatmap_step17.png").stat().st_size > 5000
