"""A trial's arrays with what they mean: plain values, wherever they came from. Nothing here fetches anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from attnscope.measures.refusals import NotMeasurableError
from attnscope.notebook import picture_of, table
from attnscope_storage.kinds.trial.schema import TrialDims, build_trial_schema
from attnscope_storage.wire import Condition, PolicyDescription, ResolvedTrial, TrialSpec
from attnscope_storage.wire.tasks import TaskCell

RESULTS = ("trial/return", "trial/kept", "trial/held", "trial/flops")
"""Arrays that every trial has, [condition, seed, task, episode]."""


_AXES: Mapping[str, tuple[str, ...]] = {
    spec.name: spec.dims
    for spec in build_trial_schema(TrialDims(1, 1, 1, 1, 1, 1, 1, (0,), (0,), (1,), 1)).arrays.values()
}
"""Names of every array's axes."""


@dataclass(frozen=True, eq=False)
class TrialResults:
    """The results of a trial so far.

    Conditions that are not committed yet are not there: every array's condition axis ends with the last one that is.

    Raises
    ------
    NotMeasurableError
        The arrays do not fit each other or the specification.
    """

    job: str
    spec: TrialSpec
    resolved: ResolvedTrial
    policy: PolicyDescription
    provenance: Mapping[str, Any]
    arrays: Mapping[str, Shaped[np.ndarray, ...]]
    """By the names of `attnscope_storage.kinds.trial.schema`; may read an array when it is first asked for."""
    complete: bool = True
    state: str | None = None
    """State of the job where nothing is complete, as the service says it; None where no service was asked."""

    def __post_init__(self) -> None:
        missing = [name for name in (*RESULTS, "env/seed", "env/task") if name not in self.arrays]
        if missing:
            raise NotMeasurableError(f"a trial has arrays {', '.join(missing)}, which these results lack")
        expected = (
            len(self.arrays["trial/return"]),
            len(self.arrays["env/seed"]),
            len(self.arrays["env/task"]),
            self.spec.episodes,
        )
        for name in RESULTS:
            if self.arrays[name].shape != expected:
                raise NotMeasurableError(
                    f"expected {name} of shape {expected} [condition, seed, task, episode], got "
                    f"{self.arrays[name].shape}"
                )
        if not 0 < expected[0] <= len(self.resolved.conditions):
            raise NotMeasurableError(
                f"expected 1 to {len(self.resolved.conditions)} conditions, the uncompressed one first, got "
                f"{expected[0]}"
            )

    def _repr_html_(self) -> str:
        rows = {"checkpoint": self.resolved.checkpoint_name, "environment": self.resolved.environment_id}
        conditions = f"{self.committed} of {len(self.resolved.conditions)}"
        return table(f"results of trial {self.job[:8]}", {**rows, "conditions": conditions})

    def _repr_png_(self) -> bytes | None:
        return picture_of("attnscope.figures.trials.table:trial_picture", self) if self.committed > 1 else None

    @property
    def committed(self) -> int:
        """Conditions that are there."""
        return len(self.arrays["trial/return"])

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The condition at each entry of the condition axis; entry 0 is the uncompressed rollout."""
        return self.resolved.conditions[: self.committed]

    @cached_property
    def returns(self) -> Float64[np.ndarray, "condition seed task episode"]:
        """Return of every episode."""
        return self._values("trial/return")

    @cached_property
    def kept(self) -> Float64[np.ndarray, "condition seed task episode"]:
        """History tokens that a decision was made of, mean over an episode's decisions."""
        return self._values("trial/kept")

    @cached_property
    def held(self) -> Float64[np.ndarray, "condition seed task episode"]:
        """History tokens that the uncompressed context had at the same steps."""
        return self._values("trial/held")

    @cached_property
    def flops(self) -> Float64[np.ndarray, "condition seed task episode"]:
        """Floating-point operations of a decision's forward."""
        return self._values("trial/flops")

    @property
    def seeds(self) -> int:
        """Evaluation seeds: rollouts of each task."""
        return int(self.returns.shape[1])

    @cached_property
    def tasks(self) -> tuple[TaskCell | None, ...]:
        """The known facts of each entry of the task axis."""
        known = {cell.index: cell for cell in self.resolved.tasks}
        return tuple(known.get(int(index)) for index in self.arrays["env/task"])

    @property
    def task_names(self) -> tuple[str, ...]:
        """The name of each task."""
        numbers = self.arrays["env/task"]
        return tuple(
            f"task {int(number)}" if cell is None else cell.label
            for number, cell in zip(numbers, self.tasks, strict=True)
        )

    @cached_property
    def random_return(self) -> Float64[np.ndarray, " task"]:
        """Expected return of uniform actions in an episode; NaN where it is not known."""
        return np.array([_known(None if cell is None else cell.random_return) for cell in self.tasks])

    @cached_property
    def optimal_return(self) -> Float64[np.ndarray, " task"]:
        """Largest return of an episode; NaN where it is not known."""
        return np.array([_known(None if cell is None else cell.optimal_return) for cell in self.tasks])

    @property
    def has_arms(self) -> bool:
        """True where arms were named, perhaps of several checkpoints, in place of strategies and budgets."""
        return bool(self.resolved.checkpoints)

    def policy_of(self, condition: int) -> PolicyDescription:
        """Return the policy that acts in a condition."""
        every = self.resolved.checkpoints
        return every[self.conditions[condition].checkpoint].policy if every else self.policy

    def whose(self, condition: int) -> dict[str, str | int | None]:
        """Return the checkpoint of a condition, its recipe and its training seed; nothing in a trial without arms."""
        if not self.has_arms:
            return {}
        one = self.resolved.checkpoints[self.conditions[condition].checkpoint]
        return {"checkpoint": one.name, "recipe": one.recipe, "training_seed": one.training_seed}

    def against(self, condition: int) -> int:
        """Return the condition that another is compared with: the uncompressed one, or the reference of its arm."""
        place = self.conditions[condition].against
        return place if place < self.committed else 0

    @property
    def capacity(self) -> int:
        """History tokens of a full context."""
        return self.capacity_of(0)

    def capacity_of(self, condition: int) -> int:
        """Return the history tokens of a full context of the policy that acts in a condition."""
        policy = self.policy_of(condition)
        return policy.transitions * policy.tokens_per_transition

    @cached_property
    def full(self) -> Bool[np.ndarray, " episode"]:
        """True where the uncompressed context, of every checkpoint, was full in the whole of an episode."""
        least = {self.conditions[place].checkpoint: place for place in reversed(range(self.committed))}
        each = [self.held[place].min(axis=(0, 1)) >= self.capacity_of(place) - 0.5 for place in least.values()]
        return np.asarray(np.all(each, axis=0), np.bool_)

    def measured(self, name: str) -> Float64[np.ndarray, ...] | None:
        """Return an array that not every trial has, such as ``divergence/kl``; None where it was not asked for."""
        return self._values(name) if name in self.arrays else None

    def static(self, name: str) -> Int64[np.ndarray, " entry"]:
        """Return what labels an axis, such as ``divergence/step``; empty where there is no such axis."""
        return np.asarray(self.arrays.get(name, []), np.int64)

    def control(self, condition: int) -> int | None:
        """Return the condition of uniform selection at the same budget and positions, or None."""
        of = self.conditions[condition]
        same = (of.budget, of.positions, of.interval, of.memory, of.path)
        for other in self.conditions[1:]:
            if other.strategy == "uniform" and same == (
                other.budget, other.positions, other.interval, other.memory, other.path
            ):  # fmt: skip
                return other.index
        return None

    def cut(self, *, seeds: Sequence[int] | None = None, tasks: Sequence[int] | None = None) -> TrialResults:
        """Return the results of some seeds and tasks, by their places; what was timed is that of all."""
        keep = {"seed": seeds, "task": tasks}
        arrays: dict[str, Shaped[np.ndarray, ...]] = {}
        for name, values in self.arrays.items():
            axes = _AXES.get(name, ())
            taken = values
            for axis, of in enumerate(axes):
                chosen = keep.get(of)
                taken = taken if chosen is None else np.take(taken, list(chosen), axis=axis)
            arrays[name] = taken
        return dataclasses.replace(self, arrays=arrays)

    def _values(self, name: str) -> Float64[np.ndarray, ...]:
        return np.asarray(self.arrays[name], np.float64)


def _known(value: float | None) -> float:
    return float("nan") if value is None else value
