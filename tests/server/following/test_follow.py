"""A run folder that is followed: each checkpoint once and whole, after half-written files, kills and restarts."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from attnscope_model.strategies import StrategyError
from attnscope_server.acting.errors import RolloutStoppedError
from attnscope_server.following.follow import LOG, Follower, WatchChangedError, following
from attnscope_server.following.found import checkpoints_of
from attnscope_server.following.screening import SCREEN, Watched, WatchUnfitError
from attnscope_server.following.verbs import watch
from attnscope_storage.errors import CaptureLockedError
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from reading_here import reading_here

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "ckpt-causal.pt"
ASKED = Watched(causal=True, split="train", tasks=(0, 1), replicas=1, episodes=2, budgets=(0.25, 8), decisions=8)


@pytest.fixture(scope="module", autouse=True)
def _here():
    """Read checkpoint files in this process."""
    with reading_here():
        yield


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> tuple[Path, list[str]]:
    """Return a run whose second checkpoint was half-written at the first look, and what the watch said."""
    run = tmp_path_factory.mktemp("runs") / "my run"
    run.mkdir()
    shutil.copy(GOLDEN, run / "ckpt-10.pt")
    (run / "ckpt-200.pt").write_bytes(GOLDEN.read_bytes()[:2000])
    said: list[str] = []
    with following(run, ASKED, tell=said.append) as follower:
        assert follower.look() == 1
        assert follower.look() == 0, "an unreadable file that has not changed is not tried again"
        shutil.copy(GOLDEN, run / "ckpt-200.pt")
        assert follower.look() == 1
    return run, said


def test_half_written_checkpoints_are_taken_once_they_are_whole(watched):
    """The first look says which file cannot be read yet, the last finds it whole; each step has one line."""
    run, said = watched
    lines = [json.loads(line) for line in (run / "attnscope-watch" / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 200]
    assert sum("ckpt-200.pt cannot be read yet" in sentence for sentence in said) == 1
    for step in (10, 200):
        reader = CaptureReader.open(run / "attnscope-watch" / f"step-{step}" / SCREEN)
        assert reader.complete
        assert verify(reader).ok
    assert lines[0].keys() == lines[1].keys()
    assert {name.split("/")[0] for name in lines[0]} == {
        "step",
        "return",
        "attention",
        "departure",
        "departures an episode",
    }


def test_tensorboard_reads_what_the_log_holds(watched):
    """Every number of the log stands in the event files, at its training step."""
    run, _ = watched
    events = EventAccumulator(str(run / "attnscope-watch" / "tensorboard"))
    events.Reload()
    lines = [json.loads(line) for line in (run / "attnscope-watch" / LOG).read_text().splitlines()]
    names = set(lines[0]) - {"step"}
    assert set(events.Tags()["scalars"]) == names
    for tag in events.Tags()["scalars"]:
        assert [one.step for one in events.Scalars(tag)] == [10, 200]
    for name in names:
        written = [one.value for one in events.Scalars(name)]
        assert written == pytest.approx([line[name] for line in lines], nan_ok=True), name


def test_a_killed_watch_does_its_last_checkpoint_anew(watched, tmp_path):
    """Stopped within a checkpoint, it leaves no line; the next one screens that step to the same numbers."""
    run = tmp_path / "my run"
    shutil.copytree(watched[0], run)
    log = run / "attnscope-watch" / LOG
    whole = log.read_text()
    log.write_text(whole.splitlines(keepends=True)[0] + '{"step": 200, "return/l')
    with following(run, ASKED, stopped=lambda: True) as follower, pytest.raises(RolloutStoppedError):
        follower.look()
    assert len(log.read_text().splitlines()) == 1
    with following(run, ASKED, tensorboard=False) as follower:
        assert follower.screened == {10}
        assert follower.look() == 1
    assert log.read_text() == whole


def test_one_process_follows_a_run_with_one_set_of_options(watched):
    """A second watch of the same folder is refused, and so are other options, whose numbers would not compare."""
    run, _ = watched
    with following(run, ASKED, tensorboard=False), pytest.raises(CaptureLockedError), following(run, ASKED):
        pass
    with pytest.raises(WatchChangedError, match="made with other options"):
        Follower(run, Watched(causal=True), tensorboard=False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"strategies": ("recenci",)}, "recenci"),
        ({"budgets": (2.5,)}, r"^budgets\.0"),
        ({"replicas": 0}, "^replicas: expected at least 1, got 0"),
        ({"tasks": (0, 0)}, "^indices names an entry twice: 0"),
    ],
)
def test_options_that_fit_no_checkpoint_are_refused_and_bind_nobody(tmp_path, changes, reason):
    """They are refused before anything is captured, and the run may be watched with others afterwards."""
    shutil.copy(GOLDEN, tmp_path / "ckpt-10.pt")
    with pytest.raises((WatchUnfitError, StrategyError), match=reason):
        Follower(tmp_path, replace(ASKED, **changes), tensorboard=False)
    Follower(tmp_path, Watched(), tensorboard=False)
    assert Follower(tmp_path, ASKED, tensorboard=False).screened == set()
    assert not list((tmp_path / "attnscope-watch").glob("step-*"))


def test_entries_that_are_no_numbers_are_wrong_usage(tmp_path):
    """The option is named, and nothing is written."""
    with pytest.raises(typer.BadParameter, match="entries of the split like 0,1,2, got 'b'"):
        watch(tmp_path, tasks="1,b")
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_diverged_is_named_and_the_next_one_is_looked_at(tmp_path):
    """Weights so large that no attention comes of them do not end the watch of the run."""
    content = torch.load(GOLDEN, weights_only=True)
    content["model"] = {name: 1e30 * tensor for name, tensor in content["model"].items()}
    torch.save(content, tmp_path / "ckpt-10.pt")
    said: list[str] = []
    with following(tmp_path, ASKED, tensorboard=False, tell=said.append) as follower:
        assert follower.look() == 0
        assert follower.look() == 0
    assert len(said) == 1
    assert said[0].startswith("ckpt-10.pt cannot be screened yet, it is tried again when it changes: ")


def test_checkpoints_are_found_by_their_steps(tmp_path):
    """Files and folders are ordered by number; the watch's own folder and other files are none."""
    for name in ("ckpt-20.pt", "ckpt-3.pt", "notes.pt"):
        (tmp_path / name).touch()
    for name in ("step-100", "attnscope-watch", "step-x"):
        (tmp_path / name).mkdir()
    assert [one.step for one in checkpoints_of(tmp_path)] == [3, 20, 100]
