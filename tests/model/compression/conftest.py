"""Policies of every family with random weights, random rollouts, and a direct construction to compare with."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import yaml

from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.families.ad import ADConfig, ADPolicy
from forwards.layouts import LAYOUTS
from reading_here import reading_here

CPU = torch.device("cpu")


NATIVE = {"ad-absolute": "learned-absolute", "ad-rotary": "rotary", "ad-alibi": "alibi", "ad-relative": "relative"}
EVERY = [*LAYOUTS, *NATIVE]
"""A policy of every family and variant."""


def native(positions):
    """Return a native policy with random weights."""
    torch.manual_seed(5)
    config = ADConfig((9, 9), 5, 24, positions=positions, width=32, layers=3, heads=4, feedforward=64)
    policy = ADPolicy(config)
    with torch.inference_mode(mode=False), torch.no_grad():
        for weights in policy.parameters():
            weights.normal_(std=0.3)
    return policy.eval().requires_grad_(requires_grad=False)


@pytest.fixture(scope="session")
def families(tmp_path_factory):
    """Return a policy of every family, by name."""
    folder = tmp_path_factory.mktemp("files")
    registry = CheckpointRegistry(tmp_path_factory.mktemp("registry"))

    found = {name: native(positions) for name, positions in NATIVE.items()}
    with reading_here():
        for name, layout in LAYOUTS.items():
            path = folder / f"{name}.pt"
            torch.save(layout.content(""), path)
            if layout.bare and layout.config:
                path.with_name(path.name + ".yaml").write_text(yaml.safe_dump(dict(layout.config)))
            registry.add(path, name=name, **layout.stated)
            found[name] = load_policy(registry.folder(name), CPU)
    return found


@pytest.fixture(scope="session")
def random_steps():
    """Return a function that gives random transitions (s, a, r, s', ended) of episodes of seven steps."""

    def steps(count, envs, seed=0):
        random = np.random.default_rng(seed)
        for step in range(count):
            cells = random.integers(0, 9, (2, envs, 2))
            rewards = random.integers(0, 2, envs).astype(float)
            yield cells[0], random.integers(0, 5, envs), rewards, cells[1], np.full(envs, step % 7 == 6)

    return steps


def by_distance(policy, slot, sees):
    """Return what distances add to scores [head, 1, key], by the paper's formula or the policy's own table."""
    far = torch.tensor([abs(slot - other) for other in sees])
    match policy.description.positions:
        case "alibi":
            return -far * 2.0 ** torch.arange(-2.0, -9, -2)[:, None, None]
        case "relative":
            table = policy.get_parameter("distances.table")
            return table[:, far.clamp(max=table.shape[1] - 1)][:, None]
        case _:
            return 0


@pytest.fixture(scope="session")
def direct():
    """Return a forward in which each token that is seen attends to those it may, written out token by token."""

    def forward(policy, tokens, seen, deciding):
        """Return the logits at `deciding` of one context [token, width], where only the slots `seen` take part."""
        x = policy.place(tokens[None])
        for layer in policy.layers():
            queries, keys, values = layer.project(x)
            attended = torch.zeros_like(queries)
            for slot in seen:
                sees = [other for other in seen if other <= slot or not policy.description.causal]
                scores = queries[0, :, slot, None] @ keys[0, :, sees].transpose(-2, -1) / math.sqrt(keys.shape[-1])
                scores = scores + by_distance(policy, slot, sees)
                attended[0, :, slot] = (torch.softmax(scores, dim=-1) @ values[0, :, sees])[:, 0]
            x = layer.finish(x, attended)
        return policy.read(x[:, deciding])[0]

    return forward
