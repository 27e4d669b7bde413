"""None against none, with other seeds, on a policy that learns: verdicts are wrong as seldom as they say."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from attnscope.trials import TrialResults
from attnscope.trials.bootstrap import PairedBootstrap
from attnscope.trials.verdicts import judge
from attnscope_env import preset
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import shipped_checkpoints
from attnscope_server.capturing.resolving import task_cell
from attnscope_server.trials.rollout import TrialRunner
from attnscope_storage.wire import Condition, ResolvedTrial, TrialSpec

POLICY, TASKS, SEEDS, EPISODES, SPLITS = "AD-absolute-darkroom-reference-seed0@6000", (5, 33, 38), 20, 5, 300
JUDGED = 5
"""Seeds of each side."""


@pytest.fixture(scope="module")
def rollouts() -> TrialResults:
    """Return a trial of the uncompressed condition alone, with many seeds."""
    torch.set_num_threads(1)
    (folder,) = (path for path in shipped_checkpoints() if path.name == POLICY)
    policy, rooms = load_policy(folder, torch.device("cpu")), preset("darkroom-reference")
    alone = Condition(
        index=0, strategy="none", parameters={}, text="none", budget=None, positions="reindex", interval=1,
        memory="stateless", path="recompute", control=True, oracle=False,
    )  # fmt: skip
    spec = TrialSpec(
        checkpoint=POLICY, seeds=tuple(range(SEEDS)), episodes=EPISODES, strategies=({"name": "none"},), budgets=(0.5,),
        speed={"enabled": False}, divergence_steps=0, kept_steps=0,
    )  # fmt: skip
    resolved = ResolvedTrial(
        checkpoint_id="c" * 64, checkpoint_name=POLICY, environment_id=rooms.environment_id, preset=rooms.name,
        horizon=rooms.horizon, sampling="sample", tasks=tuple(task_cell(rooms.task(task)) for task in TASKS),
        held_out=True, envs=SEEDS * len(TASKS), steps=EPISODES * rooms.horizon, conditions=(alone,),
        divergence_steps=(), kept_steps=(),
    )  # fmt: skip

    def environments(axis: Any) -> Any:
        return rooms.make_vector([rooms.task(int(task)) for task in axis.task])

    runner = TrialRunner(spec, resolved, policy, environments, torch.device("cpu"))
    (result,) = (one for wave in runner.waves() for one in runner.run(wave))
    arrays = {name: values[None] for name, values in result.arrays().items()}
    arrays |= {"env/seed": np.arange(SEEDS), "env/task": np.array(TASKS)}
    return TrialResults("job", spec, resolved, policy.description, {}, arrays)


def test_none_against_none_is_inferior_at_the_nominal_rate(rollouts):
    """Five seeds of each of three tasks against five others, 300 times: 2.5 % may be called inferior.

    Splits of exchangeable rollouts obey the null exactly; the bound is three standard errors of the count above it.
    """
    rng = np.random.default_rng(0)
    bootstrap = PairedBootstrap(JUDGED, len(TASKS), samples=400)
    plain = rollouts.arrays["trial/return"][0]
    words, kept = [], []
    for _ in range(SPLITS):
        sides = np.stack([rng.permutation(SEEDS)[: 2 * JUDGED] for _ in TASKS], axis=1).reshape(2, JUDGED, len(TASKS))
        pair = np.stack([plain[side, np.arange(len(TASKS))] for side in sides])
        verdict = judge(_against(rollouts, pair), 1, bootstrap)
        assert verdict.reason is None
        words.append(verdict.word)
        kept.append(verdict.kept.value)
    assert np.mean([word == "inferior" for word in words]) < 0.025 + 3 * np.sqrt(0.025 * 0.975 / SPLITS)
    assert np.std(kept) > 0.02  # the sides do differ
    assert abs(np.mean(kept) - 1) < 0.03


def _against(rollouts: TrialResults, pair: np.ndarray) -> TrialResults:
    """Return a trial whose two conditions are these rollouts."""
    both = (*rollouts.resolved.conditions, rollouts.resolved.conditions[0].model_copy(update={"index": 1}))
    same = {name: np.zeros_like(pair) for name in ("trial/kept", "trial/held", "trial/flops")}
    arrays = {**same, "trial/return": pair, "env/seed": np.arange(JUDGED), "env/task": np.array(TASKS)}
    resolved = rollouts.resolved.model_copy(update={"conditions": both})
    return dataclasses.replace(rollouts, arrays=arrays, resolved=resolved)
