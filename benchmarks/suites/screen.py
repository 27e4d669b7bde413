"""The cost of a screen: 20 deployable rules × 4 budgets × 512 decisions of the shipped 9×9 policy, on one thread.

Beside it a trial of the same arms on the same tasks, measured on a few rollouts of each and scaled to 8 tasks × 5
seeds; and whether decisions depart as they do in a trial on the same history.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
import torch
from jaxtyping import Float64

from attnscope_env import LISTED
from attnscope_model.acting.departing import departure
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression import Compression
from attnscope_model.compression.deciding import CompressedDecider, PlainDecider
from attnscope_model.forward.policy import Policy
from attnscope_model.strategies import build, looks_at_attention
from attnscope_server.attempts.order import Order
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.kinds import Referred
from attnscope_server.screening import Histories, screen
from attnscope_server.screening.job import run_screen
from attnscope_server.screening.kind import KIND
from attnscope_server.screening.stored import StoredHistories
from attnscope_server.trials.acting import Recorded
from attnscope_server.trials.divergence import decisions_at
from attnscope_server.trials.job import TrialOrder, run_trial
from attnscope_server.trials.resolving import resolve_trial
from attnscope_server.trials.rollout import TrialRunner
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec, TrialSpec
from attnscope_storage.wire.specifications.screens import ScreenSpec
from benchmarks.study.subjects import BLIND, GUIDED
from benchmarks.subject import CPU

CHECKPOINT: Final = "AD-absolute-darkroom-reference-seed0@6000"
BUDGETS: Final = (0.1, 0.25, 0.4, 0.6)
EVERY: Final = 10
"""Steps between two selections of rules that look at attention."""

CLOSE: Final = 1e-5
"""Departures that differ by less are those of the same tokens."""

ROLLOUTS: Final = 40
"""Rollouts of a condition in the trial that a screen is compared with: 8 tasks × 5 seeds."""

TASKS: Final = {"split": "train", "indices": tuple(range(8))}


def captured(registry: CheckpointRegistry, folder: Path, policy: Policy, *, quick: bool) -> Referred:
    """Capture the histories and return what refers to them."""
    steps = 60 if quick else 400
    asked = {"tasks": TASKS, "seeds": (100, 101, 102, 103), "steps": steps, "maps": {"count": 0}}
    spec = CaptureSpec.model_validate({"checkpoint": CHECKPOINT, **asked})
    resolved, store = resolve(spec, registry), uuid4()
    path = folder / f"{store}.zarr"
    info = registry.get(CHECKPOINT)
    run_capture(CaptureOrder("capture", "bench", spec, resolved, path, durable=False), policy, info, CPU)
    return Referred(store, spec, resolved, CaptureReader.open(path).steps_committed)


def screened(
    registry: CheckpointRegistry,
    folder: Path,
    policy: Policy,
    referred: Referred,
    **asked: Any,  # noqa: ANN401 - fields of the specification
) -> tuple[tuple[int, ...], list[float], float]:
    """Run a screen; return its shape, the seconds of its parts and those of the whole, reading the capture included."""
    spec = ScreenSpec.model_validate({"capture": uuid4(), "budgets": BUDGETS, "positions": ("reindex",)} | asked)
    resolved = KIND.resolve_on(spec, referred, registry, LISTED)
    order = Order("screen", "bench", spec, resolved, folder / f"{uuid4()}.zarr", durable=False)
    begun = time.process_time()
    run_screen(order, policy, registry.get(CHECKPOINT), CPU)
    took, reader = time.process_time() - begun, CaptureReader.open(order.path)
    parts = [float(part) for part in reader.array("cost/seconds")[:].sum(axis=0)]
    return reader.array("screen/departure").shape, parts, took


def tried(registry: CheckpointRegistry, folder: Path, policy: Policy, *, quick: bool) -> tuple[float, int]:
    """Run the same arms as trials on few rollouts; return processor seconds and the rollouts of a condition."""
    seconds = 0.0
    common = {"checkpoint": CHECKPOINT, "budgets": BUDGETS, "controls": False, "divergence_steps": 0, "kept_steps": 0}
    few = {"tasks": TASKS | {"indices": (0, 1)}, "seeds": (0, 1), "episodes": 2 if quick else 20}
    for rules, interval in ((BLIND, 1), (GUIDED, EVERY)):
        more = {"strategies": rules, "interval": interval, "speed": {"enabled": False}}
        spec = TrialSpec.model_validate(common | few | more)
        resolved = resolve_trial(spec, registry)
        order = TrialOrder("trial", "bench", spec, resolved, folder / f"{uuid4()}.zarr", durable=False)
        begun = time.process_time()
        run_trial(order, policy, registry.get(CHECKPOINT), CPU, TrialRunner)
        seconds += time.process_time() - begun
    return seconds, resolved.envs


def walked(policy: Policy, histories: Histories, arms: list[Compression]) -> Float64[np.ndarray, "arm step"]:
    """Return the departures of every decision of one rollout, led through it step by step as a trial's are."""
    series = (histories.observation, histories.action, histories.reward, histories.next_observation, histories.ended)
    told = Recorded(*([*np.moveaxis(values, 1, 0)] for values in series))
    steps = tuple(range(histories.steps))
    with torch.inference_mode():
        plain = dict(decisions_at(PlainDecider(policy, 1, CPU), told, steps, lambda _step: None))
        decider = CompressedDecider(policy, arms, torch.from_numpy(histories.lanes), CPU)
        found = decisions_at(decider, told, steps, lambda _step: None, times=len(arms))
        return np.stack([departure(plain[step], logits).numpy() for step, logits in found], axis=1)


def beside_a_trial(policy: Policy, histories: Histories) -> dict[str, float]:
    """Return how far a screen of one rollout is from what a trial's contexts give on the same history.

    A rule that looks at attention is another decision's where the rounding of stored rows to float16 breaks a tie
    otherwise; all decisions of the rollout are compared.
    """
    rules = [build(one.name, one.parameters) for one in (*BLIND, *GUIDED)]
    asked = [
        Compression(rule, budget, "reindex", EVERY if looks_at_attention(rule) else 1)
        for rule in rules
        for budget in BUDGETS
    ]
    found = screen(policy, histories, [*asked, Compression(build("none", {}))], decisions=histories.steps)
    arms = [arm.setup for arm in found.plan.arms]
    apart = np.abs(found.arrays["screen/departure"][0] - walked(policy, histories, arms))
    looks = np.array([looks_at_attention(arm.rule) for arm in arms])
    whole = np.array([arm.rule.name == "none" for arm in arms])
    return {
        "compared_decisions": apart.size,
        "blind_apart": float(apart[~looks].max()),
        "none_departs": float(found.arrays["screen/departure"][0][whole].max()),
        "float16_other_tokens": float((apart[looks] > CLOSE).mean()),
    }


def run(*, quick: bool) -> dict[str, Any]:
    """Print processor seconds of the screen and of the trial, and what float16 rows change."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registry = CheckpointRegistry(folder / "registry")
        registry.add_shipped()
        policy = load_policy(registry.folder(registry.get(CHECKPOINT).id), CPU)
        referred = captured(registry, folder, policy, quick=quick)
        rules = [choice.model_dump() for choice in (*BLIND, *GUIDED)]
        asked = {"strategies": rules, "intervals": (EVERY,), "decisions": 64 if quick else 512}
        shape, _, seconds = screened(registry, folder, policy, referred, oracles=False, **asked)
        _, parts, whole = screened(registry, folder, policy, referred, oracles=True, **asked)
        nothing = {"strategies": [{"name": "none"}], "decisions": asked["decisions"]}
        _, ages, _ = screened(registry, folder, policy, referred, ages=True, **nothing)
        few, rollouts = tried(registry, folder, policy, quick=quick)
        source = StoredHistories(
            CaptureReader.open(folder / f"{referred.store}.zarr"), referred.steps_committed, rows=True
        )
        same = beside_a_trial(policy, source.read(np.array([0])))
    trial = few * ROLLOUTS / rollouts
    print(f"   {CHECKPOINT}, one thread, {shape[1]} arms × {shape[0] * shape[2]} decisions of {shape[0]} rollouts")
    print(f"   screen of deployable arms, read and stored: {seconds:.1f} processor seconds; with oracles {whole:.1f}")
    uncompressed, deployable, oracles, _ = parts
    print(f"   of these: uncompressed {uncompressed:.1f}, deployable {deployable:.1f}, oracles {oracles:.1f}")
    print(f"   parts by age, where they are asked for: {ages[3]:.1f}")
    print(f"   trial of the same arms: {few:.0f} s for {rollouts} rollouts each, so {trial:.0f} s for {ROLLOUTS}")
    print(f"   a screen takes 1/{trial / seconds:.0f} of that trial")
    print(f"   of one rollout, {same['compared_decisions']} decisions beside a trial's contexts on the same history:")
    print(f"   rules that look at no attention depart otherwise by {same['blind_apart']:.1g} at most")
    print(f"   `none` departs by {same['none_departs']:.1g}; rules that look, every {EVERY}, keep other tokens")
    print(f"   for the float16 of stored rows at {same['float16_other_tokens']:.2%} of decisions")
    return {
        "arms": shape[1],
        "decisions": shape[0] * shape[2],
        "screen_seconds": seconds,
        "screen_with_oracles_seconds": whole,
        "parts_seconds": parts,
        "trial_seconds": trial,
        "trial_measured_rollouts": rollouts,
        "times_cheaper": trial / seconds,
        "ages_seconds": ages[3],
    } | same
