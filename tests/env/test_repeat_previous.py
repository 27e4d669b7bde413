"""POPGym's RepeatPrevious with renamed answers: its rewards, tasks and seeds, and the source that remembers."""

from __future__ import annotations

import builtins
import subprocess
import sys

import numpy as np
import pytest
from popgym.envs.repeat_previous import RepeatPrevious

from attnscope_env import EnvironmentUnusableError, environment_seeds, listing, preset, terminal_observations
from attnscope_env.histories import record
from attnscope_env.popgym_tasks.answers import repeat_previous
from attnscope_env.popgym_tasks.recaller import Recaller
from attnscope_env.presets.repeat_previous import MAPS, REPEAT_PREVIOUS_ID

PRESET = preset("repeat-previous")
TEST = PRESET.tasks("test")


def recalled(window: int | None, episodes: int = 2, room=PRESET) -> np.ndarray:
    """Return the episode returns of agents that remember so many steps, on the held-out tasks."""
    tasks = room.tasks("test") * 4
    index = [task.index for task in tasks]
    agents = Recaller(len(tasks), k=room.k, noise=0.0, seed=0, window=window)
    seeds = environment_seeds([0] * len(tasks), index, range(len(tasks)))
    made = record(
        room.make_vector(tasks), agents, np.array(index), episodes=episodes, horizon=room.horizon, seeds=seeds
    )
    return made.episode_returns().mean(axis=0)


def test_a_task_renames_at_most_two_answers_and_belongs_to_one_split():
    """67 maps: POPGym's own, 12 that change one answer, 54 that change two; 60 train, 7 test."""
    changed = [sum(answer != suit for suit, answer in enumerate(answers)) for answers in MAPS]
    assert [changed.count(number) for number in range(4)] == [1, 12, 54, 0]
    assert (len(PRESET.tasks("train")), len(TEST), PRESET.features) == (60, 7, (4,))
    assert sorted(task.index for split in ("train", "test") for task in PRESET.tasks(split)) == list(range(67))
    assert PRESET.task_of_goal((0, 1, 2, 3)).parameters["answers"] == (0, 1, 2, 3)
    with pytest.raises(ValueError, match="2 of them renamed at most"):
        PRESET.task_of_goal((1, 0, 3, 2))


def test_unrenamed_answers_are_popgyms_own_environment():
    """Card for card, and reward for reward times the number of answers of an episode."""
    ours, theirs = repeat_previous(k=16, decks=1), RepeatPrevious(k=16, num_decks=1)
    card, _ = ours.reset(seed=3)
    same, _ = theirs.reset(seed=ours.unwrapped.np_random_seed)
    rng, steps, ended = np.random.default_rng(0), 0, False
    while not ended:
        assert card == same
        action = int(rng.integers(4))
        card, reward, ended, *_ = ours.step(action)
        same, paid, over, *_ = theirs.step(action)
        assert (reward, ended) == (pytest.approx(36 * paid), over)
        steps += 1
    assert steps == PRESET.horizon == 51


def test_the_right_action_answers_the_card_fifteen_steps_back():
    """It earns 1 from the sixteenth step on, another −1, and the steps before earn nothing."""
    task = TEST[0]
    answers = task.parameters["answers"]
    env = PRESET.make_vector((task, task))
    seen, total = [], np.zeros(2)
    observation, _ = env.reset(seed=[5, 5])
    for step in range(PRESET.horizon):
        seen.append(int(observation[0]))
        right = answers[seen[-16]] if step >= 15 else 0
        observation, reward, terminated, _, infos = env.step(np.array([right, (right + 1) % 4]))
        assert reward.tolist() == ([1.0, -1.0] if step >= 15 else [0.0, 0.0])
        total += reward
    assert terminated.all()
    assert terminal_observations(observation, infos).shape == (2,)
    assert total.tolist() == [task.optimal_return, -36.0]


def test_uniform_actions_return_what_the_tasks_say():
    """−18 of 36: a quarter of the answers is right by chance."""
    assert {task.random_return for task in TEST} == {-18.0}
    assert recalled(window=14) == pytest.approx([-18.0, -18.0], abs=4.0)  # 28 rollouts, standard error 1


def test_a_window_below_fifteen_steps_earns_nothing_and_one_of_an_episode_all():
    """The memory that is needed is known: the card is 15 steps back, and the newest answers show what was renamed."""
    fifteen, fifty_one, every = recalled(15), recalled(51), recalled(None)
    assert fifteen[1] < 20
    assert 34 < fifty_one[1] <= every[1] == 36.0
    assert every[0] < 36.0  # what was renamed is learned within the first episode


def test_equal_seeds_deal_equal_cards_in_every_episode():
    """An episode's cards follow from the environment's seed and the episode's number."""
    dealt = []
    for _ in range(2):
        env = PRESET.make_vector(TEST[:2])
        observation, _ = env.reset(seed=[7, 8])
        cards = [observation.copy()]
        for _ in range(60):
            observation, *_ = env.step(np.zeros(2, np.int64))
            cards.append(observation.copy())
        dealt.append(np.stack(cards))
    assert np.array_equal(*dealt)
    assert not np.array_equal(dealt[0][:, 0], dealt[0][:, 1])
    assert not np.array_equal(dealt[0][:9], dealt[0][51:60])  # the second episode has cards of its own


def test_a_request_names_k_and_decks():
    """Horizon and returns follow from both; a card that is never dealt is refused."""
    asked = listing(REPEAT_PREVIOUS_ID).preset({"k": 32, "decks": 2})
    assert (asked.horizon, asked.task(0).optimal_return) == (103, 72.0)
    assert listing(REPEAT_PREVIOUS_ID).preset({}) is PRESET
    with pytest.raises(ValueError, match="expected k below the 52 cards"):
        listing(REPEAT_PREVIOUS_ID).preset({"k": 52})


def test_without_popgym_the_environment_says_how_to_install_it(monkeypatch):
    """The tasks are known all the same."""
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("popgym"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EnvironmentUnusableError, match=r"pip install 'attnscope\[popgym\]'"):
        PRESET.make_vector(TEST[:1])


def test_importing_the_environments_does_not_import_popgym():
    """It is an extra: only making its environment loads it."""
    probe = "import sys, attnscope_env; assert not [m for m in sys.modules if m.split('.')[0] == 'popgym']"
    subprocess.run([sys.executable, "-c", probe], check=True)
