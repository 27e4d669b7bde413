"""The arrays of a trial: names, dtypes, axes.

A trial grows by conditions as a capture grows by steps: a commit is one condition's results, so that what is committed
is always whole and a trial that goes on begins its next condition anew. Condition 0 is the uncompressed rollout, which
every other is paired with: same tasks, same seeds, same random numbers at every step.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Final

import numpy as np

from attnscope_storage.layout.store_schema import SPLITS, ArraySpec, Axis, StoreSchema, array_spec
from attnscope_storage.wire.outputs import ONE_CHOICE, OutputDescription

CHUNK_BYTES: Final = 4 * 2**20
"""Decoded size of a condition's array, in bytes, from which it is cut by seeds into several chunks."""

PHASES: Final = ("growing", "full")
"""Meaning of the phase axis: while the uncompressed context still grows, and once it is full."""

ARMS: Final = ("uncompressed", "compressed")
"""Meaning of the arm axis of what is timed, side by side in turns."""


DEPARTURE: Final = "divergence/departure"
"""Array that trials begun by earlier versions do not have."""


@dataclass(frozen=True)
class TrialDims:
    """The sizes that determine a trial's arrays."""

    conditions: int
    seeds: int
    tasks: int
    episodes: int
    horizon: int
    actions: int
    tokens: int
    """Tokens of history that a condition may keep at most, the query not counted: length of the kept axis."""
    divergence_steps: tuple[int, ...]
    kept_steps: tuple[int, ...]
    speed_envs: tuple[int, ...]
    speed_rounds: int
    output: OutputDescription = ONE_CHOICE
    """The meaning of the head's numbers."""


@dataclass(frozen=True)
class TrialSchema(StoreSchema):
    """Every array of one trial."""

    kind: ClassVar[str] = "trial"
    dims: TrialDims
    arrays: Mapping[str, ArraySpec]
    flush_steps: int = 1
    """Conditions of one commit."""

    def of_store(self, names: Container[str]) -> TrialSchema:
        """Return the schema of a store that was begun by an earlier version, given the names of its arrays."""
        if DEPARTURE in names:
            return self
        kept = {name: spec for name, spec in self.arrays.items() if name != DEPARTURE}
        return replace(self, arrays=MappingProxyType(kept))

    @property
    def total(self) -> int:
        """Conditions of the finished trial."""
        return self.dims.conditions

    def length(self, spec: ArraySpec, steps: int) -> int:
        """Return the length of an array's first axis once `steps` conditions are committed."""
        return spec.shape[0] if spec.growth == "static" else steps


def build_trial_schema(dims: TrialDims) -> TrialSchema:
    """Return the arrays of a trial with these dimensions."""
    specs = [*_results(dims), *_measured(dims), *_static(dims)]
    return TrialSchema(dims, MappingProxyType({spec.name: spec for spec in specs}))


def _results(dims: TrialDims) -> Iterator[ArraySpec]:
    """Yield what the rollouts gave."""
    condition: Axis = ("condition", dims.conditions)
    rollout: tuple[Axis, ...] = (("seed", dims.seeds), ("task", dims.tasks))
    episode: Axis = ("episode", dims.episodes)
    step: Axis = ("step", dims.episodes * dims.horizon)
    for name, units, long_name in (
        ("trial/return", "1", "return of an episode"),
        ("trial/kept", "tokens", "history tokens that a decision was made of, mean over an episode's decisions"),
        ("trial/held", "tokens", "history tokens of the uncompressed context, mean over an episode's decisions"),
        ("trial/flops", "flop", "floating-point operations of a decision's forward, mean over an episode's decisions"),
    ):
        yield _grows(name, "float32", condition, *rollout, episode, units=units, long_name=long_name)
    action = dims.output.action_axis(dims.actions)
    yield _grows("rollout/action", dims.output.action_dtype, condition, *rollout, step, *action)
    yield _grows("rollout/reward", "float32", condition, *rollout, step)


def _measured(dims: TrialDims) -> Iterator[ArraySpec]:
    """Yield what was measured beside the rollouts; an axis of length 0 is left out."""
    condition: Axis = ("condition", dims.conditions)
    seed: Axis = ("seed", dims.seeds)
    task: Axis = ("task", dims.tasks)
    if dims.divergence_steps:
        sample: Axis = ("divergence_step", len(dims.divergence_steps))
        what = "KL(uncompressed ‖ compressed) of the action on the uncompressed rollout's history"
        if "kl" not in dims.output.lacks:
            yield _grows("divergence/kl", "float32", condition, sample, seed, task, units="nats", long_name=what)
        what = f"{dims.output.departure}, at the uncompressed rollout's histories"
        yield _grows(DEPARTURE, "float32", condition, sample, seed, task, units="1", long_name=what)
        flips = "whether the most likely action is another"
        if "flip" not in dims.output.lacks:
            yield _grows("divergence/flip", "int8", condition, sample, seed, task, long_name=flips)
    if dims.kept_steps:
        moment: Axis = ("kept_step", len(dims.kept_steps))
        token: Axis = ("token", dims.tokens)
        for end in ("first", "last"):
            what = f"{end} transition of each kept token, first seed; -1: no token"
            yield _grows(f"kept/{end}", "int32", condition, moment, task, token, long_name=what)
    if dims.speed_envs:
        level: Axis = ("speed_env", len(dims.speed_envs))
        phase: Axis = ("phase", len(PHASES))
        arm: Axis = ("arm", len(ARMS))
        turn: Axis = ("round", dims.speed_rounds)
        what = "wall-clock time of a decision, a strategy's own work included, nothing captured; mean of a round"
        yield _grows("speed/seconds", "float32", condition, phase, level, arm, turn, units="s", long_name=what)
        for share in ("p50", "p95"):
            what = f"{share} of a decision's wall-clock time, over all rounds"
            yield _grows(f"speed/{share}", "float32", condition, phase, level, arm, units="s", long_name=what)


def _static(dims: TrialDims) -> Iterator[ArraySpec]:
    """Yield what labels the axes."""
    yield array_spec("env/seed", "int64", (("seed", dims.seeds),))
    yield array_spec("env/task", "int32", (("task", dims.tasks),), long_name="task index")
    splits: dict[str, Any] = {"flag_values": list(range(len(SPLITS))), "flag_meanings": " ".join(SPLITS)}
    yield array_spec("env/split", "int8", (("task", dims.tasks),), **splits)
    for name, steps in (("divergence/step", dims.divergence_steps), ("kept/step", dims.kept_steps)):
        if steps:
            yield array_spec(name, "int32", ((name.replace("/", "_"), len(steps)),))
    if dims.speed_envs:
        yield array_spec("speed/envs", "int32", (("speed_env", len(dims.speed_envs)),))


def _grows(name: str, dtype: str, *axes: Axis, **attributes: object) -> ArraySpec:
    whole = array_spec(name, dtype, axes, growth="step", chunk=(1,), **attributes)
    seeds = [index for index, (axis, _) in enumerate(axes) if axis == "seed"]
    if not seeds or math.prod(whole.chunks) * np.dtype(dtype).itemsize <= CHUNK_BYTES:
        return whole
    chunks = tuple(1 if index in {0, *seeds} else size for index, size in enumerate(whole.chunks))
    return replace(whole, chunks=chunks)
