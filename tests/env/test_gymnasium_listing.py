"""Environments that an operator lists: what is refused, what a request may say, and episodes that replay."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from attnscope_env import (
    EnvironmentUnusableError,
    GymnasiumEntry,
    Listings,
    environment_seeds,
    observation_layout,
    terminal_observations,
)
from attnscope_env.rooms.observations import ActionLayout, action_layout
from attnscope_env.rooms.seeds import derived_seed

MOVES = ("left", "down", "right", "up")
LAKE = GymnasiumEntry(
    id="FrozenLake-v1",
    horizon=30,
    actions=MOVES,
    kwargs_schema={"properties": {"is_slippery": {"type": "boolean", "default": True}}},
    tasks=(
        {"label": "4×4", "kwargs": {"map_name": "4x4"}, "split": "train", "random_return": 0.01},
        {"label": "one hole", "kwargs": {"desc": ["SFFF", "FHFF", "FFFF", "FFFG"]}, "split": "test"},
    ),
)
POLE = GymnasiumEntry(id="CartPole-v1", horizon=40, actions=("left", "right"), preset="pole")


def roll(environment, actions, seeds):
    """Return every observation, terminal one, reward and flag of these actions."""
    observation, _ = environment.reset(seed=seeds)
    steps = []
    for chosen in actions:
        after, reward, terminated, truncated, infos = environment.step(chosen)
        steps.append((observation, terminal_observations(after, infos), reward, terminated, truncated))
        observation = after
    environment.close()
    return [np.array(part) for part in zip(*steps, strict=True)]


def test_a_listing_joins_our_own():
    """The operator's environment has its preset, splits and schema beside attnscope's own."""
    listings = Listings([LAKE, POLE])
    chosen = listings.preset("FrozenLake-v1")
    assert set(listings.ids) > {"FrozenLake-v1", "CartPole-v1", "attnscope/Darkroom-v0"}
    assert listings.listing("FrozenLake-v1").preset({}) is chosen
    assert chosen.task_counts == {"train": 1, "validation": 0, "test": 1}
    assert [task.label for task in chosen.tasks("all")] == ["4×4", "one hole"]
    assert (chosen.tasks("train")[0].random_return, chosen.tasks("test")[0].random_return) == (0.01, None)
    dry = listings.listing("FrozenLake-v1").preset({"is_slippery": False})
    assert (dry.name, dict(dry.kwargs)) == ("custom", {"is_slippery": False})
    assert listings.preset("pole").horizon == 40
    with pytest.raises(ValueError, match="split and indices"):
        chosen.task_of_goal((1, 2))


@pytest.mark.parametrize(
    "kwargs", [{"is_slippery": 1}, {"map_name": "4x4"}, {"render_mode": "human"}, {"is_slippery": None}]
)
def test_kwargs_outside_the_schema_are_refused(kwargs):
    """A request can give nothing that the operator's schema does not name, whatever the environment takes."""
    with pytest.raises(ValueError, match=r"is_slippery|were unexpected|was unexpected"):
        Listings([LAKE]).listing("FrozenLake-v1").preset(kwargs)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": "os:system"}, "pattern"),
        ({"module": "os; import sys"}, "pattern"),
        ({"kwargs_schema": {"properties": {"x": {"type": "dance"}}}}, "no JSON schema"),
        ({"kwargs_schema": {"properties": {"map_name": {"type": "string"}}}}, "leaves to requests"),
        ({"kwargs": {"is_slippery": True}}, "leaves to requests"),
        ({"tasks": []}, "at least 1"),
        ({"horizon": 0}, "greater than or equal to 1"),
        ({"actions": []}, "at least 1"),
    ],
)
def test_impossible_entries_are_refused(changes, reason):
    """A list that an operator cannot mean is refused when the settings are read."""
    with pytest.raises(ValueError, match=reason):
        GymnasiumEntry.model_validate(LAKE.model_dump() | changes)


@pytest.mark.parametrize("entries", [[LAKE, LAKE], [POLE.model_copy(update={"preset": "darkroom-13"})]])
def test_names_are_listed_once(entries):
    """An id or a preset's name that is taken already is refused."""
    with pytest.raises(ValueError, match="listed twice"):
        Listings(entries)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (LAKE.model_copy(update={"actions": ("up",)}), "4 actions"),
        (LAKE.model_copy(update={"id": "Nothing-v0"}), "cannot be made"),
        (LAKE.model_copy(update={"module": "no_such_module"}), "cannot be made"),
        (GymnasiumEntry(id="Blackjack-v1", horizon=9, actions=("stick", "hit")), "a discrete observation, a vector"),
        (GymnasiumEntry(id="Pendulum-v1", horizon=9, actions=("a",)), "has vectors of 1 numbers as actions"),
    ],
)
def test_environments_that_cannot_be_rolled_out_say_why(entry, reason):
    """Missing environments and kinds that a rollout does not carry are named when the environments are made."""
    chosen = Listings([entry]).preset(entry.preset_name)
    with pytest.raises(EnvironmentUnusableError, match=reason):
        chosen.make_vector(chosen.tasks("all")[:1])


def test_tasks_that_do_not_fit_into_one_batch_say_so():
    """Tasks whose observations differ cannot be columns of one array."""
    tasks = ({"label": size, "kwargs": {"map_name": size}} for size in ("4x4", "8x8"))
    chosen = Listings([GymnasiumEntry(id="FrozenLake-v1", horizon=9, actions=MOVES, tasks=tasks)]).preset(
        "FrozenLake-v1"
    )
    with pytest.raises(EnvironmentUnusableError, match="do not step together"):
        chosen.make_vector(chosen.tasks("all"))


@pytest.mark.parametrize("entry", [LAKE, POLE], ids=["discrete", "float vector"])
def test_stored_actions_replay_bit_for_bit(entry):
    """From the same derived seeds stored actions give the same observations, through many early endings."""
    chosen = Listings([entry]).preset(entry.preset_name)
    tasks = [chosen.task(0), chosen.task(chosen.task_count - 1), chosen.task(0)]
    seeds = environment_seeds([0, 0, 0], [0, 1, 0], [0, 0, 1])
    actions = np.random.default_rng(0).integers(0, len(entry.actions), (200, 3))
    first = roll(chosen.make_vector(tasks), actions, seeds)
    second = roll(chosen.make_vector(tasks), actions, seeds)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    ended = first[3] | first[4]
    assert ended.sum() > 10


def test_a_place_in_the_batch_changes_nothing():
    """An environment rolls out alike alone and beside others, in one process and in processes of its own."""
    chosen = Listings([POLE]).preset("pole")
    apart = Listings([POLE.model_copy(update={"vectorization": "async"})]).preset("pole")
    seeds = environment_seeds([3, 3], [0, 0], [0, 1])
    actions = np.random.default_rng(1).integers(0, 2, (60, 2))
    together = roll(chosen.make_vector([chosen.task(0)] * 2), actions, seeds)
    alone = roll(chosen.make_vector([chosen.task(0)]), actions[:, 1:], seeds[1:])
    processes = roll(apart.make_vector([apart.task(0)] * 2), actions, seeds)
    for both, one, other in zip(together, alone, processes, strict=True):
        np.testing.assert_array_equal(both[:, 1:], one)
        np.testing.assert_array_equal(both, other)


def test_an_episode_adds_exactly_its_own_transitions():
    """Every step is a transition: s' is where the last move led, the next query where the next episode begins."""
    chosen = Listings([LAKE]).preset("FrozenLake-v1")
    environment = chosen.make_vector([chosen.task(0)] * 8)
    assert environment.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    actions = np.random.default_rng(2).integers(0, 4, (120, 8))
    observation, reached, _, terminated, truncated = roll(environment, actions, environment_seeds(*[range(8)] * 3))
    ended = terminated | truncated
    holes = [5, 7, 11, 12, 15]
    assert (np.isin(reached, holes) == terminated).all()
    assert (observation[1:][ended[:-1]] == 0).all()
    np.testing.assert_array_equal(observation[1:][~ended[:-1]], reached[:-1][~ended[:-1]])


def test_episodes_are_seeded_by_number_not_by_what_happened():
    """Two histories that end an episode at other times begin the next one alike, and no two episodes are alike."""
    chosen = Listings([POLE]).preset("pole")
    starts = []
    for seed in (0, 1):
        environment = chosen.make_vector([chosen.task(0)])
        numbers, begun = np.random.default_rng(seed), [environment.reset(seed=[11])[0][0]]
        while len(begun) < 6:
            after, _, terminated, truncated, _ = environment.step(numbers.integers(0, 2, 1))
            if (terminated | truncated)[0]:
                begun.append(after[0])
        starts.append(np.array(begun))
    np.testing.assert_array_equal(*starts)
    assert len(np.unique(starts[0], axis=0)) == 6


def test_seeds_are_derived_from_every_part():
    """Another seed, task or replica is another seed; a part's place matters; bits bound it."""
    seeds = environment_seeds([0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1])
    assert len(set(seeds)) == 4
    assert seeds == environment_seeds(np.array([0, 1, 0, 0]), np.array([0, 0, 1, 0]), np.array([0, 0, 0, 1]))
    assert all(0 <= derived_seed(7, part, bits=31) < 2**31 for part in range(200))


@pytest.mark.parametrize(
    ("space", "layout"),
    [
        (spaces.Discrete(4), ((), "int64")),
        (spaces.Box(0, 8, (2,), np.int32), ((2,), "int32")),
        (spaces.Box(-1, 1, (3,), np.float32), ((3,), "float32")),
        (spaces.Box(-1, 1, (3,), np.float64), ((3,), "float64")),
        (spaces.Box(0, 255, (128,), np.uint8), ((128,), "int16")),
        (spaces.MultiDiscrete([3, 4]), ((2,), "int64")),
        (spaces.MultiBinary(5), ((5,), "int8")),
        (spaces.Box(0, 10, (5, 5, 2), np.int8), ((5, 5, 2), "int8")),
        (spaces.Box(0, 10, (7, 7), np.uint8), ((7, 7), "int8")),
        (spaces.Box(0, 255, (7, 7, 3), np.uint8), ((7, 7, 3), "int16")),
        (spaces.MultiDiscrete([[3, 4], [2, 2]]), ((2, 2), "int64")),
    ],
)
def test_layouts_of_observations(space, layout):
    """Discrete observations are scalars, vectors and grids keep their type, unsigned ones get room for 'absent'."""
    assert observation_layout(space) == layout


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 255, (84, 84, 3), np.uint8),
        spaces.Box(0, 1, (8, 8), np.float32),
        spaces.Box(0, 9, (2, 2, 2, 2), np.int8),
        spaces.Text(5),
        spaces.Dict(x=spaces.Discrete(2)),
        spaces.Tuple([]),
    ],
)
def test_other_observations_are_refused(space):
    """Large pictures, pictures of real numbers, texts and compounds are no vector and no small grid."""
    with pytest.raises(EnvironmentUnusableError, match=r"a vector of numbers|at most 4096 integers, got 21168"):
        observation_layout(space)


def test_actions_count_from_zero():
    """A policy's logits are numbered from 0; environments whose actions are not are refused."""
    assert action_layout(spaces.Discrete(3)) == ActionLayout(3)
    assert action_layout(spaces.MultiDiscrete([3, 2])) == ActionLayout(5, (3, 2))
    assert action_layout(spaces.Box(-1, 1, (2,))) == ActionLayout(2, continuous=True)
    for space in (
        spaces.Discrete(3, start=1),
        spaces.MultiDiscrete([2, 2], start=[0, 1]),
        spaces.MultiDiscrete([[2], [2]]),
        spaces.Box(0, 9, (1,), np.int32),
        spaces.Box(-1, 1, (2, 2)),
        spaces.MultiBinary(2),
    ):
        with pytest.raises(EnvironmentUnusableError, match="discrete actions from 0, several of them"):
            action_layout(space)


@pytest.mark.parametrize(
    ("space", "listed", "reason"),
    [
        (spaces.MultiDiscrete([3, 2]), {}, r"5 actions in branches of \[3, 2\], the service's settings list 5 actions"),
        (spaces.MultiDiscrete([2, 3]), {"branches": (3, 2)}, r"of \[2, 3\], the service's settings list 5 actions in"),
        (spaces.Box(-1, 1, (5,)), {}, "vectors of 5 numbers as actions, the service's settings list 5 actions"),
        (spaces.Discrete(5), {"continuous": True}, "has 5 actions, the service's settings list vectors of 5 numbers"),
    ],
)
def test_actions_are_those_that_the_operator_lists(space, listed, reason):
    """An environment whose actions are another kind than listed is refused before it is stepped."""

    class Made(gymnasium.Env):
        action_space, observation_space = space, spaces.Discrete(2)

    gymnasium.register("listed/Made-v0", entry_point=Made)
    try:
        entry = GymnasiumEntry(id="listed/Made-v0", horizon=3, actions=tuple("abcde"), **listed)
        with pytest.raises(EnvironmentUnusableError, match=reason):
            Listings([entry]).preset("listed.Made-v0").make_vector([Listings([entry]).preset("listed.Made-v0").task(0)])
    finally:
        del gymnasium.registry["listed/Made-v0"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"branches": (3, 3)}, r"add up to the 5 names of actions, got \[3, 3\]"),
        ({"branches": (5, 0)}, "greater than or equal to 1"),
        ({"branches": (3, 2), "continuous": True}, "branches or continuous actions, got both"),
    ],
)
def test_branches_fit_the_names_of_actions(fields, reason):
    """The settings of a service are refused where branches and names contradict each other."""
    with pytest.raises(ValueError, match=reason):
        GymnasiumEntry(id="listed/Made-v0", horizon=3, actions=tuple("abcde"), **fields)


def test_our_time_limit_replaces_gymnasiums():
    """The listed horizon truncates, not the one that the environment is registered with."""
    chosen = Listings([POLE.model_copy(update={"horizon": 3})]).preset("pole")
    assert gymnasium.spec("CartPole-v1").max_episode_steps == 500
    environment = chosen.make_vector([chosen.task(0)])
    environment.reset(seed=[0])
    assert [bool(environment.step(np.array([i % 2]))[3][0]) for i in range(6)] == [False, False, True] * 2
