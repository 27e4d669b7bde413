"""Presets, splits and returns against the published split and against dynamic programming."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from attnscope_env import LISTED, PRESETS, listing, preset
from attnscope_env.presets.rooms import DarkroomPreset
from attnscope_env.presets.splits import SplitRule
from attnscope_env.rooms.actions import ACTION_NUMBERINGS
from attnscope_env.rooms.registration import DARKROOM_ID, KEY_TO_DOOR_ID
from attnscope_storage.wire import EnvironmentInfo, PresetInfo

TEST_GOALS = [(4, 2), (5, 6), (6, 8), (7, 2), (3, 6), (0, 5), (5, 8), (5, 4)]


def walk(size, cell, move):
    """Return where a move leads."""
    return tuple(min(max(x + dx, 0), size - 1) for x, dx in zip(cell, move, strict=True))


def best_return(size, start, goal, horizon, moves):
    """Return the optimal return by dynamic programming over cells."""
    cells = [(row, column) for row in range(size) for column in range(size)]
    value = dict.fromkeys(cells, 0)
    for _ in range(horizon):
        value = {
            cell: max((after == goal) + value[after] for after in (walk(size, cell, move) for move in moves))
            for cell in cells
        }
    return value[start]


def random_return(size, start, goal, horizon, moves):
    """Return the expected return of uniform actions by summing over the distribution of cells."""
    here, total = {start: 1.0}, 0.0
    for _ in range(horizon):
        after = defaultdict(float)
        for cell, mass in here.items():
            for move in moves:
                after[walk(size, cell, move)] += mass / len(moves)
        here = after
        total += here.get(goal, 0.0)
    return total


def test_split_is_the_published_one():
    """73 train goals, and the 8 test goals in the order that the reference lists."""
    reference = preset("darkroom-reference")
    assert [task.goal for task in reference.tasks("test")] == TEST_GOALS
    assert len(reference.tasks("train")) == 73
    assert reference.tasks("validation") == ()


def test_all_tasks_are_every_cell_once_by_index():
    """'all' is every cell row by row; each task knows its split and its place there."""
    reference = preset("darkroom-reference")
    every = reference.tasks("all")
    assert [task.index for task in every] == list(range(81))
    assert [task.goal for task in every] == [divmod(i, 9) for i in range(81)]
    for task in every:
        assert reference.tasks(task.split)[task.split_index] is task
        assert reference.task_of_goal(task.goal) is task


def test_optimal_returns_of_the_held_out_goals():
    """They are the published ones, and their means those of SPECS part B."""
    reference = preset("darkroom-reference")
    optimal = [task.optimal_return for task in reference.tasks("test")]
    assert optimal == [19, 18, 15, 16, 18, 16, 16, 20]
    assert np.mean(optimal) == 17.25
    assert round(np.mean([task.optimal_return for task in reference.tasks("train")]), 2) == 16.47


@pytest.mark.parametrize("name", sorted(name for name in PRESETS if isinstance(PRESETS[name], DarkroomPreset)))
def test_returns_agree_with_dynamic_programming(name):
    """Optimal returns equal value iteration, random returns the walk's distribution, for goals all over the room."""
    chosen = preset(name)
    moves = ACTION_NUMBERINGS[chosen.kwargs["actions"]].moves
    size, start, horizon = chosen.kwargs["size"], tuple(chosen.kwargs["start"]), chosen.horizon
    for task in (*chosen.tasks("test")[:4], chosen.task_of_goal(start), chosen.task_of_goal((0, 0))):
        assert task.optimal_return == best_return(size, start, task.goal, horizon, moves)
        assert task.random_return == pytest.approx(random_return(size, start, task.goal, horizon, moves), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "size", "seed", "train"), [("darkroom-dpt", 10, 0, 80), ("darkroom-ad-eps", 9, 42, 65)]
)
def test_numpys_split_is_that_of_an_array_of_goals(name, size, seed, train):
    """DPT and ad-eps shuffle an array of goals by NumPy's legacy generator; the first `train` are the train goals."""
    goals = np.array([(row, column) for row in range(size) for column in range(size)])
    np.random.RandomState(seed).shuffle(goals)
    chosen = preset(name)
    named = [[*task.goal] for split in ("train", "test") for task in chosen.tasks(split)]
    assert named == goals.tolist()
    assert chosen.task_counts == {"train": train, "validation": 0, "test": len(goals) - train}


def test_cinemeres_split_is_the_end_of_its_stored_order():
    """Each goal occurs once; the last int(81 · 0.5) of the stored order are the test goals, row by row numbers."""
    chosen = preset("darkroom-cinemere")
    train, test = ([task.index for task in chosen.tasks(split)] for split in ("train", "test"))
    assert sorted(train + test) == list(range(81))
    assert (len(train), len(test)) == (41, 40)
    assert (train[:5], train[-2:]) == ([0, 30, 67, 57, 47], [61, 76])
    assert (test[:2], test[-5:]) == ([19, 34], [70, 71, 79, 80, 78])
    assert chosen.tasks("test")[-1].goal == (8, 6)


def test_cinemeres_split_is_of_its_own_room():
    """Another share of the same order is allowed; a room of other goals is refused."""
    darkroom = listing(DARKROOM_ID)
    third = darkroom.preset({"actions": "toymeta", "split_shuffle": "cinemere", "train_ratio": 0.7})
    assert third.task_counts == {"train": 57, "validation": 0, "test": 24}
    for other, kwargs in ((darkroom, {"size": 5}), (listing(KEY_TO_DOOR_ID), {})):
        with pytest.raises(ValueError, match="room of size 9"):
            other.preset({"split_shuffle": "cinemere", **kwargs})
    with pytest.raises(ValueError, match="81 goals"):
        SplitRule("cinemere").cut(25)


@pytest.mark.parametrize(("name", "counts"), [("darkroom-13", (152, 17)), ("darkroom-17", (260, 29))])
def test_larger_rooms_follow_the_references_rule(name, counts):
    """Every cell is a task, split at the rounded ratio; the farthest goal leaves most of the episode."""
    chosen = preset(name)
    assert (chosen.task_counts["train"], chosen.task_counts["test"]) == counts
    assert min(task.optimal_return for task in chosen.tasks("all")) > chosen.horizon / 2


def test_random_return_of_the_held_out_goals():
    """Uniform actions earn 0.33 an episode on average."""
    worth = [task.random_return for task in preset("darkroom-reference").tasks("test")]
    assert round(np.mean(worth), 2) == 0.33


def test_make_vector_steps_the_tasks_goals():
    """The vector environment has one room a task, repeated tasks too, with the preset's horizon."""
    reference = preset("darkroom-reference")
    first, *_, last = reference.tasks("test")
    environment = reference.make_vector([last, first, last])
    environment.reset()
    rewards = [environment.step(np.full(3, 0))[1].tolist() for _ in range(1)]
    assert rewards == [[1.0, 0.0, 1.0]]
    for _ in range(18):
        assert not environment.step(np.full(3, 4))[3].any()
    assert environment.step(np.full(3, 4))[3].all()


def test_presets_fill_the_wire_types():
    """The descriptions of presets and listings validate as the wire's types and survives JSON."""
    for entry in LISTED:
        info = EnvironmentInfo.model_validate(entry.info())
        assert EnvironmentInfo.model_validate_json(info.model_dump_json()) == info
    info = PresetInfo.model_validate(preset("darkroom-reference").info())
    assert [cell.goal for cell in info.splits["test"]] == TEST_GOALS
    assert info.actions == ("down", "up", "right", "left", "stay")


def test_long_splits_are_counted_not_listed():
    """A preset with thousands of tasks says how many there are; all listings together stay well below a megabyte."""
    info = PresetInfo.model_validate(preset("key-to-door").info())
    assert info.task_counts == {"train": 6233, "validation": 0, "test": 328, "all": 6561}
    assert info.splits == {"validation": ()}
    listed = [EnvironmentInfo.model_validate(entry.info()).model_dump_json() for entry in LISTED]
    assert sum(map(len, listed)) < 256 * 1024


def test_listing_turns_kwargs_into_presets():
    """Defaults give the listed preset itself, other arguments a preset of their own."""
    darkroom = listing(DARKROOM_ID)
    assert darkroom.preset({}) is preset("darkroom-reference")
    assert darkroom.preset({"actions": "toymeta"}) is preset("darkroom-toymeta")
    small = darkroom.preset({"size": 5, "horizon": 7, "start": [0, 0]})
    assert (small.name, small.horizon, len(small.tasks("all"))) == ("custom", 7, 25)
    assert small.task_of_goal((4, 4)).optimal_return == 0
    other = darkroom.preset({"split_seed": 3, "train_ratio": 0.5})
    assert other.task_counts == {"train": 40, "validation": 0, "test": 41}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_presets_own_kwargs_name_it(name):
    """The environment that a capture stores gives the same preset again, split rule and all."""
    chosen = preset(name)
    assert listing(chosen.environment_id).preset(chosen.kwargs) is chosen


def test_kwargs_of_older_captures_keep_their_meaning():
    """Captures stored before the split rule was an argument resume in the environment that they began in."""
    kwargs = {"size": 9, "horizon": 20, "actions": "reference", "start": [4, 4]}
    assert listing(DARKROOM_ID).preset(kwargs) is preset("darkroom-reference")


@pytest.mark.parametrize(
    "kwargs",
    [
        {"size": 1},
        {"size": 10_000},
        {"horizon": 0},
        {"actions": "x"},
        {"goal": (1, 1)},
        {"start": [9, 0]},
        {"size": "9"},
    ],
)
def test_kwargs_outside_the_schema_are_refused(kwargs):
    """Unknown arguments and values out of range never reach an environment."""
    with pytest.raises(ValueError, match="validation error"):
        listing(DARKROOM_ID).preset(kwargs)


def test_unknown_names_say_what_is_known():
    """Unlisted environments, presets and goals are lookup or value errors that name the known ones."""
    with pytest.raises(LookupError, match="Darkroom-v0"):
        listing("os:system")
    with pytest.raises(LookupError, match="darkroom-reference"):
        preset("nope")
    with pytest.raises(ValueError, match="9×9"):
        preset("darkroom-reference").task_of_goal((9, 0))
