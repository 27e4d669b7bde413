"""Collecting histories: PPO for real, what is refused first, and what an interruption loses (one task)."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import VecEnv
from typer.testing import CliRunner

from attnscope_env import preset
from attnscope_env.histories import Histories, Recorder
from attnscope_server.cli import app
from attnscope_server.training import ppo, verbs
from attnscope_server.training.collecting import SourceMissingError, SourceUnfitError, collect, tasks_learned
from attnscope_server.training.plan import HistoryPlan, PlanUnfitError, SourceName, TrainingPlan
from attnscope_server.training.run import TrainingRun

DARKROOM = preset("darkroom-reference")
ARRAYS = ("tasks", "observations", "actions", "rewards", "next_observations")


def ppo_plan(**changed) -> HistoryPlan:
    """Return a plan of few and short PPO histories."""
    return HistoryPlan(**({"source": "ppo", "per_task": 4, "episodes": 2} | changed))


def beside_the_start() -> int:
    """Return the task whose goal lies below the start."""
    return DARKROOM.task_of_goal((5, 4)).index


def test_ppo_learns_a_goal_from_rewards():
    """From near random moves to most of the optimum in twenty episodes; one in two of them is kept."""
    made = collect(DARKROOM, ppo_plan(per_task=25, episodes=10, every=2), (beside_the_start(),))
    returns = made.episode_returns().mean(axis=0)
    assert returns.shape == (10,)
    assert returns[0] < 6
    assert returns[-1] > 14
    assert tasks_learned(DARKROOM, made) == (returns[-1] >= 18)


def test_ppo_records_the_cells_where_it_was():
    """An episode begins at the start, s' is the next step's s, and the last s' is the terminal cell, not the start."""
    made = collect(DARKROOM, ppo_plan(episodes=3), (beside_the_start(), 0))
    assert made.tasks.tolist() == [beside_the_start()] * 4 + [0] * 4
    s, after = (x.reshape(8, 3, 20, 2) for x in (made.observations, made.next_observations))
    assert np.all(s[:, :, 0] == 4)
    assert np.array_equal(s[:, :, 1:], after[:, :, :-1])
    assert np.any(after[:, :, -1] != 4)
    goals = np.array([DARKROOM.task(index).goal for index in made.tasks])
    assert np.array_equal(made.rewards > 0, (made.next_observations == goals[:, None]).all(axis=2))


@pytest.fixture
def _two_threads():
    """Compute in two threads, and afterwards in as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_two_threads")
def test_equal_seeds_give_equal_ppo_histories_and_leave_the_process_as_it_was(monkeypatch):
    """Whatever was drawn before or beside; another seed gives others, and a task's do not depend on its neighbours."""
    threads, learn = [], ppo.PPO.learn

    def noting(*args, **kwargs):
        threads.append(torch.get_num_threads())
        return learn(*args, **kwargs)

    monkeypatch.setattr(ppo.PPO, "learn", noting)
    first = collect(DARKROOM, ppo_plan(), (beside_the_start(), 0))
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002 - the generator that the library draws from
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - as above
    again = collect(DARKROOM, ppo_plan(), (0,))
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1], states[2]) == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002 - as above
    other = collect(DARKROOM, ppo_plan(seed=1), (0,))
    assert threads == [1, 1, 1, 1]
    assert torch.get_num_threads() == 2
    assert np.array_equal(first.actions[4:], again.actions)
    assert not np.array_equal(other.actions, again.actions)


def test_the_streams_tell_the_learner_what_ended_an_episode():
    """At the clock's end: the terminal observation and that it was cut off; nothing before. Cells are one-hot."""
    recorder = Recorder(np.array([0, 0]), episodes=1, horizon=20, features=2)
    streams: VecEnv = ppo.Streams(DARKROOM.make_vector([DARKROOM.task(0)] * 2), 9, recorder)
    assert streams.reset().sum(axis=1).tolist() == [2, 2]
    assert streams.get_attr("render_mode") == [None, None]
    assert streams.env_is_wrapped(VecEnv, 0) == [False]
    for refused in (
        lambda: streams.get_attr("goal"),
        lambda: streams.set_attr("goal", 1),
        lambda: streams.env_method("f"),
    ):
        with pytest.raises(AttributeError):
            refused()
    for step in range(20):
        seen, _, done, infos = streams.step(np.array([0, 1]))
        assert done.tolist() == [step == 19] * 2
        assert infos[0] == {} or step == 19
    assert infos[0]["TimeLimit.truncated"]
    at = [np.flatnonzero(info["terminal_observation"]).tolist() for info in infos]
    assert at == [[8, 13], [0, 13]]  # actions 0 and 1 walk to the lowest and the highest row of the middle column
    assert np.flatnonzero(seen[0]).tolist() == [4, 13]  # the next episode's start
    assert recorder.histories().next_observations[:, -1].tolist() == [[8, 4], [0, 4]]


def test_a_source_that_is_not_installed_is_named_before_anything_is_made(plan, tmp_path, monkeypatch):
    """The error names the extra; no folder and no file is left."""
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    without = plan.model_copy(update={"histories": ppo_plan()})
    with pytest.raises(SourceMissingError, match=r"attnscope\[ppo\]"):
        TrainingRun(tmp_path / "run", without)
    with pytest.raises(SourceMissingError):
        collect(DARKROOM, without.histories, (0,), parts=tmp_path / "parts")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", [["collect", "h.npz"], ["train"]])
def test_the_command_line_works_without_the_extra(verb, tmp_path):
    """If stable-baselines3 cannot be imported, the verbs load, and PPO is refused in one line."""
    program = """
import sys
sys.modules["stable_baselines3"] = None
from attnscope_server.cli import main
main()
"""
    command = [sys.executable, "-c", program, *verb, "--source", "ppo"]
    said = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert said.returncode == 1
    assert said.stdout.strip() == ""  # no bar of a run that never began
    assert said.stderr.startswith("error: ")
    assert "pip install 'attnscope[ppo]'" in said.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_offers_every_source():
    """The verbs name the sources again, as what names them first imports torch."""
    assert get_args(verbs.Source) == get_args(SourceName)


def test_what_a_source_cannot_do_is_refused():
    """A learner of one cell in a room of two stages, noise of a learner, and episodes left out of a search."""
    with pytest.raises(SourceUnfitError, match="from two in turn"):
        collect(preset("key-to-door"), ppo_plan(), (0,))
    with pytest.raises(PlanUnfitError, match="explorer, sweeper, own, not ppo's"):
        collect(DARKROOM, ppo_plan(noise=0.5), (0,))
    with pytest.raises(PlanUnfitError, match="expected every episode of the source explorer"):
        collect(DARKROOM, HistoryPlan(every=3), (0,))
    with pytest.raises(SourceUnfitError, match="darkroom-reference has no source of its own"):
        collect(DARKROOM, HistoryPlan(source="own"), (0,))
    with pytest.raises(SourceUnfitError, match="the sources walk over cells"):
        collect(preset("repeat-previous"), HistoryPlan(), (0,))


def test_an_interruption_loses_one_task_at_most(plan, tmp_path, monkeypatch):
    """Tasks that were done are not learned again; the histories are an uninterrupted run's; the parts are removed."""
    plan = plan.model_copy(update={"histories": ppo_plan(per_task=2)})
    learned, learn = [], ppo._learn

    def until_the_third(room, histories, index):
        if len(learned) == 2:
            raise KeyboardInterrupt
        learned.append(index)
        return learn(room, histories, index)

    few = plan.task_lists().model_copy(update={"train": plan.task_lists().train[:4]})
    monkeypatch.setattr(type(plan), "task_lists", lambda _plan: few)
    monkeypatch.setattr(ppo, "_learn", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        TrainingRun(tmp_path / "run", plan)
    monkeypatch.setattr(
        ppo, "_learn", lambda room, histories, index: learned.append(index) or learn(room, histories, index)
    )
    told = []
    run = TrainingRun(tmp_path / "run", plan, tell=lambda done, tasks: told.append((done, tasks)))
    assert learned == list(few.train)
    assert told == [(done, 4) for done in range(5)]
    whole = collect(DARKROOM, plan.histories, few.train)
    assert all(np.array_equal(getattr(run.histories, name), getattr(whole, name)) for name in ARRAYS)
    assert not (run.folder / "histories.parts").exists()


def test_the_collect_verb_keeps_one_episode_of_every_few(tmp_path):
    """Its file holds the episodes kept, and its line tells their returns and how many tasks were learned."""
    out = tmp_path / "h.npz"
    said = CliRunner().invoke(
        app, ["collect", str(out), "--source", "q-learning", "--per-task", "1", "--episodes", "3", "--every", "2"]
    )
    assert said.exit_code == 0
    made = Histories.load(out)
    assert made.episode_returns().shape == (65, 3)
    optimal = np.array([DARKROOM.task(index).optimal_return for index in made.tasks])
    learned = int(np.sum(made.episode_returns()[:, -1] >= 0.9 * optimal))
    assert f"65 histories; {learned} of 65 tasks end at 90% of the optimum or more" in said.output
    assert [path.name for path in tmp_path.iterdir()] == ["h.npz"]


@pytest.mark.parametrize("source", ["explorer", "sweeper", "annealed", "q-learning"])
def test_every_reward_of_a_history_lies_on_the_cell_of_its_own_train_task(source):
    """Not the labels alone: no rewarded cell in what is trained on is a held-out goal, whatever the source did."""
    plan = TrainingPlan(histories=HistoryPlan(source=source, per_task=2, episodes=12))
    lists = plan.task_lists()
    made = collect(DARKROOM, plan.histories, lists.train)
    history, step = np.nonzero(made.rewards)
    goals = np.array([DARKROOM.task(int(index)).goal for index in made.tasks])
    cells = made.next_observations[history, step]
    assert len(set(history.tolist())) > len(lists.train) / 2  # where nothing is found nothing could leak
    assert np.array_equal(cells, goals[history])
    held_out = {DARKROOM.task(index).goal for index in (*lists.test, *lists.validation)}
    assert not {tuple(cell) for cell in cells.tolist()} & held_out


def test_the_rewards_of_a_key_to_door_history_are_its_own_keys_and_doors():
    """In every episode the first reward lies on the key and the second on the door of a task that is trained on."""
    room = preset("key-to-door")
    lists = TrainingPlan(preset="key-to-door").task_lists()
    made = collect(room, HistoryPlan(source="sweeper", per_task=1, episodes=4), lists.train[:400])
    held_out = {str(dict(room.task(index).parameters)) for index in (*lists.test, *lists.validation)}
    pairs = 0
    for index, rewards, cells in zip(made.tasks, made.rewards, made.next_observations, strict=True):
        task = dict(room.task(int(index)).parameters)
        assert str(task) not in held_out
        for episode in range(4):
            within = slice(episode * room.horizon, (episode + 1) * room.horizon)
            found = [tuple(cell) for cell in cells[within][rewards[within] > 0].tolist()]
            assert found == [task["key"], task["door"]][: len(found)]
            pairs += len(found) == 2
    assert pairs > 400
