"""A planted policy that stays where the step before was rewarded, and its decision without a service."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest
import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.acting.errors import SlotGivenBackError
from attnscope_server.attempts.order import Order
from attnscope_server.deciding.job import run
from attnscope_server.deciding.phases.resolving import resolve_decision
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire.specifications.decisions import DecisionSpec
from planted import Planted, write_planted
from reading_here import reading_here

CPU = torch.device("cpu")
JOB = UUID("6f1b4a38-0c7e-4b7b-9d0a-1f5c8c6a2b11")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Leave the other cores to other tests: on a busy machine two threads wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="package")
def registry(tmp_path_factory):
    """Return a registry with the shipped policies and the planted one."""
    registry = CheckpointRegistry(tmp_path_factory.mktemp("registry"))
    registry.add_shipped()
    folder = tmp_path_factory.mktemp("planted")
    write_planted(folder / "stays", Planted(back=1, reads="reward"), name="stays", preset="darkroom-toymeta")
    with reading_here():
        registry.add(folder / "stays")
    return registry


@pytest.fixture(scope="package")
def asked(registry):
    """Return a function that gives a specification and what it means."""

    def ask(**changes):
        spec = DecisionSpec.model_validate({"checkpoint": "stays"} | changes)
        return spec, resolve_decision(spec, registry)

    return ask


@pytest.fixture(scope="package")
def order(tmp_path_factory):
    """Return a function that gives the order of a decision in a folder of its own."""

    def make(spec, resolved, folder=None, job=JOB):
        where = folder or tmp_path_factory.mktemp("captures")
        return Order(str(job), "me", spec, resolved, where / f"{job}.zarr", durable=False)

    return make


@pytest.fixture(scope="package")
def decide(registry):
    """Return a function that runs an order to its end; it returns how often the slot was given back."""
    policy, info = load_policy(registry.folder("stays"), CPU), registry.get("stays")

    def go(order, stopped=lambda: False, *, most=100):
        callbacks = {"stopped": stopped, "on_progress": lambda _phase, _steps: None, "on_commit": lambda _commit: None}
        for turn in range(most):
            try:
                run(order, policy, info, CPU, **callbacks)
            except SlotGivenBackError:
                continue
            return turn
        return most

    return go


@pytest.fixture
def differing():
    """Return a function that names the arrays of two stores that are not bit-equal."""

    def compare(one, other):
        left, right = CaptureReader.open(one), CaptureReader.open(other)
        assert left.names() == right.names()
        pairs = {name: (np.asarray(left.array(name)[...]), np.asarray(right.array(name)[...])) for name in left.names()}
        return [name for name, (a, b) in pairs.items() if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f")]

    return compare
