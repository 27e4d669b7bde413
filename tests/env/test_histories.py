"""Sources of learning histories: what they may know, what they do, and what is stored of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attnscope_env import preset
from attnscope_env.histories import AnnealedExpert, Explorer, Histories, QLearning, Recorder, record
from attnscope_env.histories.explorer import Order, spiral_ranks
from attnscope_env.rooms.actions import numbering

DARKROOM = preset("darkroom-reference")
KEYS = preset("key-to-door")


def explored(room, tasks, *, episodes, stages=1, seed=0, noise=0.0, order: Order = "nearest") -> Histories:
    """Return the explorer's histories of these tasks."""
    source = Explorer(
        len(tasks),
        size=room.size,
        steps=episodes * room.horizon,
        seed=seed,
        stages=stages,
        max_noise=noise,
        order=order,
    )
    indices = np.array([task.index for task in tasks])
    return record(room.make_vector(tasks), source, indices, episodes=episodes, horizon=room.horizon)


@pytest.fixture(scope="module")
def histories() -> Histories:
    """Return noiseless histories of every goal."""
    return explored(DARKROOM, DARKROOM.tasks("all"), episodes=12)


def test_the_explorer_ends_at_the_optimum(histories):
    """Without noise it finds every goal and then walks a shortest path to it in every episode."""
    returns = histories.episode_returns()
    optimal = [task.optimal_return for task in DARKROOM.tasks("all")]
    assert returns[:, -1].tolist() == optimal
    assert returns[:, 0].mean() < 4


def test_the_explorer_does_not_know_the_goal(histories):
    """Up to the first reward, two histories that saw the same did the same: only random ties tell them apart."""
    again = explored(DARKROOM, [DARKROOM.tasks("all")[0]] * 81, episodes=12)
    first = histories.rewards.argmax(axis=1)
    unpaid = np.asarray(again.rewards.max(axis=1) == 0)
    for history in np.flatnonzero(first > 0):
        until = first[history] if unpaid[history] else min(first[history], again.rewards[history].argmax())
        assert np.array_equal(histories.actions[history, :until], again.actions[history, :until])


@pytest.mark.parametrize("order", ["nearest", "sweep"])
def test_key_then_door(order):
    """The explorer searches the key, then the door, and later takes both in every episode; in either order."""
    tasks = [KEYS.tasks("all")[index] for index in (5 * 81 + 70, 40 * 81 + 40, 80 * 81 + 0, 12 * 81 + 13)]
    returns = explored(KEYS, tasks, episodes=12, stages=2, order=order).episode_returns()
    assert (returns[:, -2:] == 2).all()
    assert returns[:, 0].sum() < 8


@pytest.mark.parametrize("size", [1, 2, 8, 9])
def test_the_spiral_visits_every_cell_once_from_the_centre(size):
    """Each cell has a place of its own, the centre the first; on an odd side the next cell is a neighbour."""
    ranks = spiral_ranks(size)
    path = np.argsort(ranks)
    assert sorted(ranks) == list(range(size**2))
    assert path[0] == size // 2 * size + size // 2
    steps = np.abs(np.diff(path // size)) + np.abs(np.diff(path % size))
    assert size % 2 == 0 or np.all(steps == 1)


def test_a_sweep_goes_by_the_place_alone_and_begins_anew_at_the_key():
    """Without noise all histories walk the spiral until their key pays, and go on along it from there."""
    tasks = [KEYS.tasks("all")[index] for index in (30 * 81 + 70, 50 * 81 + 0, 50 * 81 + 40)]
    histories = explored(KEYS, tasks, episodes=1, stages=2, order="sweep")
    visited = histories.next_observations @ np.array([9, 1])
    path = np.argsort(spiral_ranks(9))
    assert np.array_equal(visited[1], visited[2])
    key = int(np.flatnonzero(visited[1] == 50)[0])
    assert visited[1, : key + 1].tolist() == path[: key + 1].tolist()
    assert visited[1, key + 1 :].tolist() == path[key:49].tolist()


def test_rewards_follow_from_the_stored_cells(histories):
    """Reward 1 exactly where s' is the goal; s is the start at each episode's beginning and the last s' elsewhere."""
    goals = np.array([task.goal for task in DARKROOM.tasks("all")])
    assert np.array_equal(histories.rewards > 0, (histories.next_observations == goals[:, None]).all(axis=2))
    begins = np.arange(240) % 20 == 0
    assert np.all(histories.observations[:, begins] == 4)
    inner = ~begins[1:]
    assert np.array_equal(histories.observations[:, 1:][:, inner], histories.next_observations[:, :-1][:, inner])


def test_noise_decays_and_seeds_decide():
    """Equal seeds give equal histories; noise lowers the return early rather than late."""
    tasks = DARKROOM.tasks("train")
    runs = [explored(DARKROOM, tasks, episodes=20, seed=seed, noise=0.8) for seed in (1, 1, 2)]
    assert np.array_equal(runs[0].actions, runs[1].actions)
    assert not np.array_equal(runs[0].actions, runs[2].actions)
    returns = runs[0].episode_returns().mean(axis=0)
    assert returns[8] < returns[13] < returns[19]


def test_what_was_meant_is_kept_beside_what_noise_did(tmp_path):
    """Half of the steps are random, so many were not meant; what was meant leads to the goal once it is known."""
    tasks = DARKROOM.tasks("train")
    source = Explorer(len(tasks), size=9, steps=10**6, seed=0, max_noise=1.0)
    indices = np.array([task.index for task in tasks])
    made = record(DARKROOM.make_vector(tasks), source, indices, episodes=6, horizon=20, intends=lambda: source.intended)
    made.save(tmp_path / "h.npz")
    intended = Histories.load(tmp_path / "h.npz").intended
    assert intended is not None
    assert 0.2 < np.mean(intended != made.actions) < 0.6
    goals = np.array([task.goal for task in tasks])[:, None]
    away = np.abs(made.observations.astype(int) - goals).sum(2)
    moves = numbering("reference").table()
    after = np.abs(np.clip(made.observations + moves[intended], 0, 8) - goals).sum(2)
    known = np.cumsum(made.rewards, axis=1) - made.rewards > 0
    assert np.array_equal(after[known], np.maximum(away[known] - 1, 0))


def test_histories_come_back_from_their_file(histories, tmp_path):
    """Every array and the horizon."""
    histories.save(tmp_path / "histories.npz")
    stored = Histories.load(tmp_path / "histories.npz")
    assert stored.horizon == 20
    for name in ("tasks", "observations", "actions", "rewards", "next_observations"):
        assert np.array_equal(getattr(stored, name), getattr(histories, name))


def test_the_annealed_expert_goes_from_random_to_optimal():
    """Early episodes return about what random moves do, the last one nearly the optimum."""
    tasks = DARKROOM.tasks("train")
    source = AnnealedExpert(np.array([task.goal for task in tasks]), size=9, steps=400, seed=0)
    indices = np.array([task.index for task in tasks])
    returns = (
        record(DARKROOM.make_vector(tasks), source, indices, episodes=20, horizon=20).episode_returns().mean(axis=0)
    )
    assert returns[0] < 1
    assert returns[-1] > 0.97 * np.mean([task.optimal_return or 0 for task in tasks])


def test_q_learning_improves_without_knowing_the_goal():
    """Its last episodes return most of the optimum, its first ones little; the goal is nowhere given to it."""
    tasks = DARKROOM.tasks("train")[:20]
    source = QLearning(len(tasks), size=9, actions=5, steps=1000, seed=0)
    indices = np.array([task.index for task in tasks])
    returns = (
        record(DARKROOM.make_vector(tasks), source, indices, episodes=50, horizon=20).episode_returns().mean(axis=0)
    )
    assert returns[:5].mean() < 3
    assert returns[-5:].mean() > 12


def test_less_optimism_returns_sooner_to_what_was_found():
    """After its first reward a learner's next episodes return more where untried actions promise less."""
    tasks = [task for task in DARKROOM.tasks("train") for _ in range(2)]
    indices = np.array([task.index for task in tasks])
    after = []
    for optimism in (3.0, 10.0):
        source = QLearning(len(tasks), size=9, actions=5, steps=400, seed=0, replays=10, optimism=optimism)
        made = record(DARKROOM.make_vector(tasks), source, indices, episodes=20, horizon=20)
        returns = made.episode_returns()
        first = (returns > 0).argmax(axis=1)
        found = np.flatnonzero(first < 15)
        after.append(np.mean([returns[i, first[i] + 1 : first[i] + 5].mean() for i in found]))
    assert after[0] > 2 * after[1]


def q_learned(*, episodes: int, every: int) -> Histories:
    """Return Q-learning's histories of ten goals, 24 episodes played."""
    tasks = DARKROOM.tasks("train")[:10]
    source = QLearning(len(tasks), size=9, actions=5, steps=24 * 20, seed=0, replays=5)
    indices = np.array([task.index for task in tasks])
    return record(DARKROOM.make_vector(tasks), source, indices, episodes=episodes, every=every, horizon=20)


def test_the_last_of_every_few_episodes_is_kept_whole():
    """Keeping one of four keeps the same bits as keeping all and then taking the fourth, eighth and so on."""
    whole, thinned = q_learned(episodes=24, every=1), q_learned(episodes=6, every=4)
    assert thinned.episode_returns().shape == (10, 6)
    for name in ("observations", "actions", "rewards", "next_observations"):
        all_of_them = getattr(whole, name)
        by_episode = all_of_them.reshape(10, 24, 20, *all_of_them.shape[2:])
        assert np.array_equal(getattr(thinned, name), by_episode[:, 3::4].reshape(10, 120, *all_of_them.shape[2:]))


def test_a_recorder_wants_exactly_its_steps():
    """Too few steps are no history, and one too many is not silently dropped."""
    recorder = Recorder(np.array([3]), episodes=1, horizon=2, features=2, every=2)
    cell, one = np.zeros((1, 2), np.int32), np.ones(1)
    for _ in range(3):
        recorder.take(cell, np.array([1]), one, cell)
    with pytest.raises(ValueError, match="expected 4 steps, got 3"):
        recorder.histories()
    recorder.take(cell, np.array([1]), one, cell)
    assert recorder.histories().episode_returns().tolist() == [[2]]
    with pytest.raises(ValueError, match="expected 4 steps, got another"):
        recorder.take(cell, np.array([1]), one, cell)


def test_parts_with_intentions_are_not_joined_without_them():
    """A searching source's intended action is never dropped; without it the parts stand one after another."""
    parts = [q_learned(episodes=2, every=12), q_learned(episodes=2, every=12)]
    assert np.array_equal(Histories.joined(parts).actions, np.concatenate([part.actions for part in parts]))
    with pytest.raises(ValueError, match="got one with what it meant to do"):
        Histories.joined([parts[0], replace(parts[1], intended=parts[1].actions)])
