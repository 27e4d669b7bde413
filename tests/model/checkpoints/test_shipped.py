"""The shipped checkpoints: whole, small, honest about its tasks, and able to learn in context."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from attnscope_env import preset, terminal_observations
from attnscope_model.acting.deciding import Decider
from attnscope_model.acting.sampling import choose_actions, uniforms
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import shipped_checkpoints
from attnscope_storage.wire import CheckpointInfo

MAX_BYTES = 3_000_000
"""Of one shipped policy's weights."""

FOLDERS = {folder.name: folder for folder in shipped_checkpoints()}


def entry(folder) -> CheckpointInfo:
    """Return a shipped folder's entry."""
    return CheckpointInfo.model_validate_json((folder / "entry.json").read_bytes())


@pytest.fixture(params=FOLDERS)
def folder(request):
    """Return each shipped folder in turn."""
    return FOLDERS[request.param]


def test_a_shipped_policy_loads_and_matches_its_entry(folder):
    """The bytes are those of the stored hash, the policy is the described one, the name is the folder's."""
    info = entry(folder)
    assert load_policy(folder, torch.device("cpu")).description == info.policy
    assert info.name == folder.name
    assert (folder / "model.safetensors").stat().st_size <= MAX_BYTES


def test_no_shipped_policy_was_trained_on_a_held_out_task(folder):
    """Its train and validation tasks are of the preset's train split, the held-out ones its whole test split."""
    info = entry(folder)
    room = preset(info.preset)
    train, test = ({task.index for task in room.tasks(split)} for split in ("train", "test"))
    assert info.train_tasks is not None
    assert set(info.train_tasks) <= train
    if info.held_out_tasks is not None and info.validation_tasks is not None:
        assert set(info.held_out_tasks) == test
        assert set(info.validation_tasks) <= train - set(info.train_tasks)


def test_a_shipped_policy_has_a_card(folder):
    """Its card names it, its recipe and its limits, and claims nothing for other checkpoints."""
    text = (folder / "README.md").read_text()
    assert all(part in text for part in (folder.name, f"{entry(folder).policy.parameters:,}", "held-out"))
    assert "![Learning curves](curves.png)" in text
    assert (folder / "curves.png").stat().st_size > 10_000
    said = text.partition("## What it cannot do\n\n")[2]
    assert said.startswith("For this checkpoint: ")
    assert "training seed" in text


def test_every_figure_of_the_table_of_policies_is_of_a_card():
    """The table of docs/policies.md holds the numbers of an evaluation on held-out tasks, to the last digit."""
    page = (Path(__file__).parents[3] / "docs" / "policies.md").read_text()
    table = page.partition("## What they reach")[2].partition("![")[0]
    claimed = re.findall(r"\d+\.\d+ \[\d+\.\d+, \d+\.\d+\]", table)
    cards = "".join((folder / "README.md").read_text() for folder in FOLDERS.values())
    printed = " ".join(" ".join(re.findall(r"^held-out: .*\n((?:  episode.*\n)+)", cards, re.MULTILINE)).split())
    assert len(claimed) > 15
    assert [figure for figure in claimed if f" {figure}" not in printed] == []


def test_every_sentence_about_the_table_of_policies_has_figures_of_a_card():
    """Returns that stand beside the table, and optimal and random ones in it, are printed by a card."""
    page = (Path(__file__).parents[3] / "docs" / "policies.md").read_text()
    reached = page.partition("## What they reach")[2].partition("\n## ")[0]
    said = re.findall(r"(?<![\d.,])\d+\.\d\d(?!\d)", re.sub(r"\[[^]]+\]", "", reached))
    cards = " ".join((folder / "README.md").read_text() for folder in FOLDERS.values())
    printed = set(re.findall(r"(?<![\d.])\d+\.\d\d(?!\d)", cards)) | {"31.02"}  # nine tenths of the optimum 34.47
    assert len(said) > 30
    assert [figure for figure in said if figure not in printed] == []


def in_context_return(folder, goal, episodes) -> np.ndarray:
    """Return the return of each episode of two sampled rollouts, [rollout, episode]."""
    info = entry(folder)
    room = preset(info.preset)
    task = room.task_of_goal(goal)
    environment = room.make_vector([task, task])
    decider = Decider(load_policy(folder, torch.device("cpu")), 2, torch.device("cpu"))
    observation, _ = environment.reset()
    steps = episodes * room.horizon
    numbers = uniforms(np.zeros(2, int), np.full(2, task.index), np.arange(2), 0, steps, 0)
    returns = np.zeros((2, episodes))
    with torch.inference_mode():
        for step in range(steps):
            action = choose_actions(decider.decide(observation).logits, numbers[step], 1.0)
            following, reward, _, _, infos = environment.step(action)
            decider.append(observation, action, reward, terminal_observations(following, infos))
            returns[:, step // room.horizon] += reward
            observation = following
    return returns


@pytest.mark.parametrize(
    "name", ["AD-absolute-darkroom-reference-seed0@6000", "AD-reference-sweeper-darkroom-reference-seed0@2400"]
)
def test_a_policy_learns_in_context(name):
    """On the farthest held-out goal it begins with little and ends near the optimum, 15; random is below 0.1."""
    returns = in_context_return(FOLDERS[name], (6, 8), episodes=10)
    assert returns[:, -3:].mean() > 12
    assert returns[:, 0].mean() < 6


def test_the_key_to_door_policy_learns_in_context():
    """On a held-out key and door it misses both at first, and takes both from the third episode on."""
    returns = in_context_return(FOLDERS["AD-absolute-sweeper-key-to-door-seed0@3000"], (6, 8, 7, 1), episodes=7)
    assert returns[:, 0].mean() < 1
    assert returns[:, -4:].mean() > 1.5
