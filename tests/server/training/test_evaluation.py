"""Evaluation: the returns a capture would have, and what is said of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from attnscope_env import GymnasiumEntry, Listings, preset
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry, native_folder
from attnscope_model.families.ad import ADConfig, ADPolicy
from attnscope_server.cli import app
from attnscope_server.training.evaluation import episode_returns
from attnscope_server.training.reporting import EvaluationRefusedError, evaluate_checkpoints, interval, table
from attnscope_server.training.run import TrainingRun
from attnscope_storage.errors import AttnscopeError


@pytest.fixture
def checkpoint(plan, tmp_path):
    """Return the folder of a barely trained checkpoint."""
    run = TrainingRun(tmp_path / "run", plan)
    run.advance(until=4)
    return run.folder / "step-4"


def test_rollouts_do_not_depend_on_their_neighbours(checkpoint):
    """A task's returns are the same alone and among others, and differ between rollouts and seeds."""
    policy, room = load_policy(checkpoint, torch.device("cpu")), preset("darkroom-reference")
    tasks = room.tasks("train")[:3]
    together = episode_returns(policy, room, tasks, rollouts=3, episodes=4)
    alone = episode_returns(policy, room, tasks[1:2], rollouts=3, episodes=4)
    assert together.shape == (3, 3, 4)
    assert np.array_equal(together[1], alone[0])
    assert not np.array_equal(together, episode_returns(policy, room, tasks, rollouts=3, episodes=4, seed=1))


def test_environments_are_seeded_by_the_evaluation():
    """If an episode's start is drawn, the same seed gives the same returns, alone too; another seed gives others."""
    entry = GymnasiumEntry(id="field/Drawn-v0", module="field_environments", horizon=5, actions=("a", "b", "c"))
    drawn = Listings([entry]).preset(entry.preset_name)
    torch.manual_seed(0)
    policy = ADPolicy(ADConfig((6,), 3, 12, width=8, layers=1, heads=2, feedforward=8)).eval()
    size = {"rollouts": 3, "episodes": 3}
    once, again = (episode_returns(policy, drawn, drawn.tasks("all"), **size) for _ in range(2))
    assert np.array_equal(once, again)
    alone = episode_returns(policy, drawn, drawn.tasks("all"), rollouts=1, episodes=3)
    assert np.array_equal(once[:, :1], alone)
    assert not np.array_equal(once, episode_returns(policy, drawn, drawn.tasks("all"), **size, seed=1))


def test_an_untrained_policy_is_about_random(checkpoint):
    """Close to what uniform actions return, on average over the goals next to the start."""
    policy, room = load_policy(checkpoint, torch.device("cpu")), preset("darkroom-reference")
    tasks = [room.task_of_goal(goal) for goal in ((4, 5), (4, 3), (5, 4), (3, 4))]
    returns = episode_returns(policy, room, tasks, rollouts=20, episodes=3)
    assert returns.mean() == pytest.approx(np.mean([task.random_return or 0 for task in tasks]), abs=1.2)


def test_the_interval_resamples_seeds_and_rollouts():
    """Equal values give no width; spread over seeds widens it; the true mean lies inside."""
    rng = np.random.default_rng(0)
    assert interval(np.full((3, 4, 10), 2.0), 0) == (2.0, 2.0)
    one = rng.normal(5, 1, (1, 4, 10))
    low, high = interval(one, 0)
    assert low < one.mean() < high
    seeds = one + np.array([-3.0, 0.0, 3.0])[:, None, None]
    wide_low, wide_high = interval(seeds, 0)
    assert wide_high - wide_low > 3 * (high - low)


def test_a_table_shows_what_was_measured():
    """Means of the bins that the rollouts reach, the two lines, and a mark below ten rollouts."""
    returns = np.zeros((1, 2, 4, 10))
    returns[..., 5:] = 3.0
    text = table("held-out", returns, 17.25, 0.33, 0)
    assert "optimal 17.25, random 0.33" in text
    assert "unreliable" in text
    assert "episodes 6-10     3.00  [3.00, 3.00]" in text
    assert "11-20" not in text


def test_the_verbs_go_from_nothing_to_a_table(tmp_path):
    """`collect`, `train` and `evaluate` on the command line; one checkpoint is said to be one."""
    runner = CliRunner()
    made = runner.invoke(app, ["collect", str(tmp_path / "h.npz"), "--per-task", "1", "--episodes", "1"])
    assert re.search(r"65 histories; \d+ of 65 tasks end at", made.output)
    shape = "--context-length 12 --width 8 --layers 1 --heads 2 --feedforward 8 --steps 2 --batch 2"
    shape += " --per-task 1 --episodes 1 --evaluate-every 2 --no-bfloat16"
    trained = runner.invoke(app, ["train", *shape.split(), "--runs", str(tmp_path)], catch_exceptions=False)
    assert "AD-absolute-darkroom-reference-seed0" in trained.output.replace("\n", "")
    plan = json.loads((tmp_path / "AD-absolute-darkroom-reference-seed0" / "plan.json").read_text())
    assert plan["recipe"]["bfloat16"] is False
    folder = tmp_path / "AD-absolute-darkroom-reference-seed0" / "step-2"
    said = runner.invoke(
        app,
        [
            "evaluate",
            str(folder),
            "--split",
            "held-out",
            "--rollouts",
            "1",
            "--episodes",
            "1",
            "--out",
            str(tmp_path / "e.json"),
        ],
        catch_exceptions=False,
    )
    assert "For this checkpoint" in said.output
    assert "held-out: 8 tasks; optimal 17.25, random 0.33" in said.output


GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "ckpt-causal.pt"
ONE = {"rollouts": 1, "episodes": 1, "at_most": {}, "seed": 0, "tell": print}


def test_nothing_is_called_held_out_that_was_not(checkpoint):
    """Without held-out tasks of its own a checkpoint is held to the test split, if it says its train tasks."""
    entry = checkpoint / "entry.json"
    stored = json.loads(entry.read_text()) | {"held_out_tasks": None, "validation_tasks": None}
    entry.write_text(json.dumps(stored))
    report = evaluate_checkpoints([checkpoint], splits=["held-out"], **ONE)
    assert report["splits"]["held-out"]["tasks"] == [task.index for task in preset("darkroom-reference").tasks("test")]
    with pytest.raises(EvaluationRefusedError, match="which tasks are its validation"):
        evaluate_checkpoints([checkpoint], splits=["validation"], **ONE)
    entry.write_text(json.dumps(stored | {"train_tasks": None}))
    with pytest.raises(EvaluationRefusedError, match="does not say"):
        evaluate_checkpoints([checkpoint], splits=["held-out"], **ONE)


def test_a_registered_checkpoint_is_evaluated_by_its_name(tmp_path):
    """One converted from another layout too, and one that travels with attnscope; an unknown name is said."""
    runner = CliRunner()
    CheckpointRegistry(tmp_path / "checkpoints").add(GOLDEN, causal=True, train_tasks=[0, 1], name="theirs")
    size = ["--rollouts", "1", "--episodes", "1", "--at-most", "2", "--data-root", str(tmp_path)]
    said = runner.invoke(app, ["evaluate", "theirs", "--split", "train", *size], catch_exceptions=False)
    assert "train: 2 tasks" in said.output
    shipped = runner.invoke(app, ["evaluate", "AD-darkroom-seed42@1782", "--split", "train", *size])
    assert "(AD-darkroom-seed42@1782)" in shipped.output
    assert "registered are: theirs" in str(runner.invoke(app, ["evaluate", "nothing", *size]).exception)


def test_a_run_folder_stands_for_its_highest_step(checkpoint, tmp_path):
    """`evaluate`, `checkpoint add` and `checkpoint inspect` take a run's newest whole checkpoint, by number."""
    run = checkpoint.parent
    shutil.copytree(checkpoint, run / "step-10")
    (run / "step-11").mkdir()  # not written to its end
    shutil.copytree(checkpoint, run / "step-9x")
    size = ["--rollouts", "1", "--episodes", "1", "--at-most", "1", "--data-root", str(tmp_path)]
    said = CliRunner().invoke(app, ["evaluate", str(run), "--split", "train", *size], catch_exceptions=False)
    assert "train: 1 tasks" in said.output
    assert native_folder(run) == run / "step-10"
    assert CheckpointRegistry(tmp_path / "checkpoints").add(run).train_step == 4
    said = json.loads(CliRunner().invoke(app, ["checkpoint", "inspect", str(run)], catch_exceptions=False).output)
    assert (said["policy"]["family"], said["train_step"], said["train_tasks"]) == ("ad-native", 4, 65)


def test_a_folder_of_another_layout_is_to_be_added_first(tmp_path):
    """A reference run's folder is no registered name: what to do with it is said."""
    (tmp_path / "run").mkdir()
    said = CliRunner().invoke(app, ["evaluate", str(tmp_path / "run")])
    assert said.exit_code == 2
    assert "add it first" in " ".join(said.output.split())


def test_checkpoints_of_one_run_are_not_called_training_seeds(checkpoint):
    """Two points of a run, or policies of two recipes, are refused before anything is rolled out."""
    again = checkpoint.with_name("again")
    shutil.copytree(checkpoint, again)
    size = {"splits": ["held-out"], "rollouts": 1, "episodes": 1, "at_most": {}, "seed": 0, "tell": print}
    with pytest.raises(EvaluationRefusedError, match="one run are not training seeds"):
        evaluate_checkpoints([checkpoint, again], **size)
    entry = again / "entry.json"
    entry.write_text(entry.read_text().replace("AD-absolute-", "AD-absolute-annealed-"))
    with pytest.raises(EvaluationRefusedError, match="not training seeds of one recipe"):
        evaluate_checkpoints([checkpoint, again], **size)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["collect", "nowhere/h.npz"], "there is no folder nowhere"),
        (["collect", "h.npz", "--per-task", "0"], "per_task"),
        (["collect", "h.npz", "--seed", "-3"], "seed: expected at least 0, got -3"),
        (["collect", "h.txt"], "expected a file named *.npz, got h.txt"),
        (["train", "--context-length", "1"], "context_length"),
        (["train", "--runs", "/dev/null"], "cannot be made: Not a directory"),
        (["evaluate", "x", "--seed", "-3"], "seed"),
        (["evaluate", "x", "--out", "nowhere/x.json"], "there is no folder nowhere"),
        (["evaluate", "x", "--rollouts", "0"], "rollouts"),
        (["checkpoint", "add", "x.pt", "--train-tasks", "0,a"], "expected task indices"),
    ],
)
def test_a_bad_option_is_one_sentence(words, said):
    """No traceback: an option that cannot be is named."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code != 0
    assert said in result.output + str(result.exception)
    assert isinstance(result.exception, SystemExit | AttnscopeError)


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"train_tasks": None}, "does not say its train tasks"), ({"train_tasks": [5, 0]}, r"held-out tasks \[5\]")],
)
def test_held_out_wants_train_tasks_that_leave_it_out(checkpoint, changed, words):
    """A list of held-out tasks alone proves nothing, and one that was trained on is refused."""
    entry = checkpoint / "entry.json"
    entry.write_text(json.dumps(json.loads(entry.read_text()) | changed))
    with pytest.raises(EvaluationRefusedError, match=words):
        evaluate_checkpoints([checkpoint], splits=["held-out"], rollouts=1, episodes=1, at_most={}, seed=0, tell=print)


def test_every_seed_leaves_the_held_out_tasks_out(checkpoint):
    """Of several training seeds, not only the first is held against its list of held-out tasks."""
    other = checkpoint.with_name("other")
    shutil.copytree(checkpoint, other)
    entry = json.loads((other / "entry.json").read_text())
    entry |= {"name": entry["name"].replace("seed0", "seed1"), "train_tasks": entry["held_out_tasks"][:1]}
    (other / "entry.json").write_text(json.dumps(entry))
    size = {"rollouts": 1, "episodes": 1, "at_most": {}, "seed": 0, "tell": print}
    with pytest.raises(EvaluationRefusedError, match=r"seed1@4 was trained on or chosen by its held-out tasks"):
        evaluate_checkpoints([checkpoint, other], splits=["held-out"], **size)


def test_a_split_that_is_none_is_refused_before_the_others_are_rolled_out(checkpoint):
    """Nothing is told, let alone computed, of the splits before it."""
    told = []
    with pytest.raises(EvaluationRefusedError, match="expected a split of"):
        evaluate_checkpoints(
            [checkpoint],
            splits=["train", "nonsense"],
            rollouts=1,
            episodes=1,
            at_most={},
            seed=0,
            tell=told.append,
        )
    assert told == []
