"""A network of somebody's own, installed as the example is: captured histories, a screen and a trial take it."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pytest
import torch

from attnscope_env import LISTED, preset
from attnscope_model.checkpoints.native import load_policy
from attnscope_server.attempts.order import Order
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.kinds import Referred
from attnscope_server.screening.job import run_screen
from attnscope_server.screening.kind import KIND
from attnscope_server.trials.resolving import resolve_trial
from attnscope_server.trials.rollout import TrialRunner
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec, TrialSpec
from attnscope_storage.wire.specifications.screens import ScreenSpec
from installing import install

CPU = torch.device("cpu")
ARMS = [{"name": "latents", "parameters": {"by": "block-means"}}, {"name": "recency"}]
STEPS = 60
PACKED = 20
"""Transitions before the example packs."""
TASKS = {"goals": [(5, 4), (2, 7)]}


@pytest.fixture
def _installed(tmp_path, monkeypatch) -> None:
    install("attnscope-compressor-example", tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.usefixtures("_installed")
def test_it_is_an_arm_of_a_screen_and_of_a_trial_on_a_captured_policy(registry, tmp_path):
    """Departures begin with its first compression, in both; its tokens are counted."""
    policy, info = load_policy(registry.folder("causal"), CPU), registry.get("causal")
    spec = CaptureSpec.model_validate({"checkpoint": "causal", "tasks": TASKS, "steps": STEPS, "maps": {"count": 0}})
    store, resolved = uuid4(), resolve(spec, registry)
    order = CaptureOrder("capture", "me", spec, resolved, tmp_path / f"{store}.zarr", durable=False)
    run_capture(order, policy, info, CPU)
    asked = ScreenSpec.model_validate({"capture": uuid4(), "strategies": ARMS, "budgets": [8], "decisions": 2 * STEPS})
    meaning = KIND.resolve_on(asked, Referred(store, spec, resolved, STEPS), registry, LISTED)
    assert [arm.strategy for arm in meaning.arms].count("latents") == 1
    screen = Order("screen", "me", asked, meaning, tmp_path / f"{uuid4()}.zarr", durable=False)
    run_screen(screen, policy, info, CPU)
    reader = CaptureReader.open(screen.path)
    departure, kept = (reader.array(f"screen/{name}")[:][:, 0] for name in ("departure", "kept"))
    assert departure[:, :PACKED].max() < 1e-5
    assert departure[:, PACKED:].max() > 0.01
    assert kept[0, PACKED - 1 : PACKED + 3].tolist() == [19, 0, 5, 6]
    trial = TrialSpec.model_validate(
        {"checkpoint": "causal", "tasks": TASKS, "episodes": 3, "strategies": ARMS, "budgets": [8], "controls": False}
        | {"divergence_steps": STEPS, "speed": {"enabled": False}}
    )
    tried, chosen = resolve_trial(trial, registry), preset("darkroom-reference")

    def environments(axis):
        return chosen.make_vector([chosen.task(int(index)) for index in axis.task])

    runner = TrialRunner(trial, tried, policy, environments, CPU)
    found = {index: one for wave in runner.waves() for index, one in zip(wave, runner.run(wave), strict=True)}
    packed = found[[arm.strategy for arm in tried.conditions].index("latents")]
    assert packed.departure[:PACKED].max() < 1e-5
    assert packed.departure[PACKED:].max() > 0.01
    assert np.isfinite(packed.returns).all()
