"""Policies of every family with random weights, and random histories with the rows of their uncompressed decisions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from attnscope_model.acting.tape import AttentionTape
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression.deciding import PlainDecider
from attnscope_model.families.ad import ADConfig, ADPolicy
from attnscope_server.screening import Histories
from forwards.layouts import LAYOUTS
from reading_here import reading_here

CPU = torch.device("cpu")
NATIVE = {f"native-{kind}": kind for kind in ("learned-absolute", "rotary", "alibi")}
FAMILIES = [*LAYOUTS, *NATIVE]
ROLLOUTS = 3
EPISODE = 7


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Compare numbers at one thread count."""
    torch.set_num_threads(1)


def native(positions):
    """Return a native policy with random weights, whose context holds 23 transitions."""
    torch.manual_seed(5)
    policy = ADPolicy(ADConfig((9, 9), 5, 24, positions=positions, width=32, layers=2, heads=4, feedforward=64))
    with torch.no_grad():
        for weights in policy.parameters():
            weights.normal_(std=0.4)
    return policy.eval().requires_grad_(requires_grad=False)


@pytest.fixture(scope="session")
def policies(tmp_path_factory):
    """Return a policy of every family, by name."""
    folder = tmp_path_factory.mktemp("files")
    registry = CheckpointRegistry(tmp_path_factory.mktemp("registry"))

    found = {name: native(kind) for name, kind in NATIVE.items()}
    with reading_here():
        for name, layout in LAYOUTS.items():
            path = folder / f"{name}.pt"
            torch.save(layout.content(), path)
            if layout.bare and layout.config:
                path.with_name(f"{name}.pt.yaml").write_text(json.dumps(dict(layout.config)))
            registry.add(path, name=name, **layout.stated)
            found[name] = load_policy(registry.folder(name), CPU)
    return found


@pytest.fixture(scope="session")
def histories_of():
    """Return a function that gives random histories of a policy, past the slide of its window, with rows."""

    def make(policy, steps=None, seed=0, rollouts=ROLLOUTS, dtype=np.float32):
        description = policy.description
        per = description.tokens_per_transition
        capacity = (description.context_length - 1) // per
        steps = 2 * capacity + 5 if steps is None else steps
        random = np.random.default_rng(seed)
        cells = random.integers(0, 9, (rollouts, steps + 1, 2))
        actions = random.integers(0, description.actions, (rollouts, steps))
        rewards = (random.random((rollouts, steps)) < 0.3).astype(np.float32)
        ended = np.broadcast_to(np.arange(steps) % EPISODE == EPISODE - 1, (rollouts, steps))
        rows = np.full((rollouts, steps, description.context_length), np.nan, np.float32)
        decider = PlainDecider(policy, rollouts, CPU)
        with torch.inference_mode():
            for step in range(steps):
                with AttentionTape(policy) as tape:
                    policy(decider.window.tokens(cells[:, step]))
                row = tape.rows.to(torch.float16 if dtype == np.float16 else torch.float32).float().mean(dim=(1, 2))
                rows[:, step, : row.shape[1]] = row.numpy()
                decider.append(cells[:, step], actions[:, step], rewards[:, step], cells[:, step + 1], ended[:, step])
        return Histories(
            observation=cells[:, :-1],
            action=actions,
            reward=rewards,
            next_observation=cells[:, 1:],
            ended=ended,
            task=np.arange(rollouts),
            seed=np.arange(rollouts) + 4,
            rows=rows,
        )

    return make
