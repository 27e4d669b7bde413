"""A planted policy that stays where the step before was rewarded, and its decision without a service."""

from __future__ import annotations

import pytest
import torch

from attnscope_env import LISTED
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.deciding.phases.resolving import resolve_decision
from attnscope_server.deciding.phases.rollouts import Stage
from attnscope_server.deciding.phases.working import Worker
from attnscope_storage.wire.decisions import DecisionSpec
from planted import Planted, write_planted

CPU = torch.device("cpu")


@pytest.fixture(scope="package")
def registry(tmp_path_factory):
    """Return a registry with the shipped policies and the planted one."""
    registry = CheckpointRegistry(tmp_path_factory.mktemp("registry"))
    registry.add_shipped()
    folder = tmp_path_factory.mktemp("planted")
    write_planted(folder / "stays", Planted(back=1, reads="reward"), name="stays", preset="darkroom-toymeta")
    registry.add(folder / "stays")
    return registry


@pytest.fixture
def asked(registry):
    """Return a function that gives a specification and what it means."""

    def ask(**changes):
        spec = DecisionSpec.model_validate({"checkpoint": "stays"} | changes)
        return spec, resolve_decision(spec, registry)

    return ask


@pytest.fixture
def work(registry):
    """Return a function that gives a decision at work on the planted policy."""

    def make(spec, resolved):
        preset = LISTED.listing(resolved.environment_id).preset(resolved.environment_kwargs)
        policy = load_policy(registry.folder("stays"), CPU)
        stage = Stage(
            policy=policy,
            environments=lambda axis: preset.make_vector([preset.task(int(index)) for index in axis.task]),
            name=resolved.environment_id,
            device=CPU,
            steps=resolved.steps,
            episodes=resolved.episodes,
            temperature=1.0,
            most_rewards=preset.most_rewards,
            stopped=lambda: False,
            advanced=lambda _share: None,
        )
        return Worker(spec, resolved, policy, stage)

    return make
