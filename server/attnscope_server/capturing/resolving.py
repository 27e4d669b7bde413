"""The meaning of a specification on this service: names become ids, splits become cells, counts become steps.

What a trial adds is in `attnscope_server.trials.resolving`.

Knows registries and presets, not torch: it runs in the service process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from attnscope_env.presets.listing import LISTED, Listings
from attnscope_env.presets.tasks import EnvPreset, Task
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.errors import CheckpointAmbiguousError, CheckpointUnknownError
from attnscope_server.capturing.action_fit import why_other_actions, why_other_clock
from attnscope_server.capturing.compressor import compressor_of
from attnscope_server.capturing.keeping import LARGE_MAP_BYTES, Kept, keep
from attnscope_server.errors import ProblemError
from attnscope_storage.kinds.capture.compressions import compressor_envs
from attnscope_storage.wire import (
    DEFAULT_EPISODES,
    DEFAULT_MAX_STEPS,
    ActingSpecification,
    CaptureSpec,
    CheckpointInfo,
    PolicyDescription,
    ProblemCode,
    ResolvedCapture,
    ResolvedSubject,
    TaskCell,
    TaskChoice,
    problem,
)

DEFAULT_MAPS = 5
"""Sampled maps of a capture that names none."""

MAX_ENVS = 65_536
"""Length of the env axis, at most."""


def resolve(spec: CaptureSpec, registry: CheckpointRegistry, listings: Listings = LISTED) -> ResolvedCapture:
    """Return what `spec` means on a service that lists these environments.

    Raises
    ------
    ProblemError
        Where the checkpoint, environment, task, layer, head, env or step that it names does not exist.
    """
    subject = find_subject(spec, registry, listings)
    envs = subject.envs(len(spec.seeds), spec.replicas)
    steps = _steps(spec, subject.preset.horizon)
    policy, packed_by = subject.checkpoint.policy, None
    if spec.compressor is not None:
        packed_by = compressor_of(spec.compressor, subject.checkpoint, registry)
        policy = policy.packed(packed_by)
    if spec.sliding and policy.window != "compressed":
        detail = f"sliding: {subject.checkpoint.name} packs nothing, so it acts over its own window already"
        raise _refuse(ProblemCode.INVALID_REQUEST, detail)
    layers = _subset(spec.rows.layers, policy.layers, "rows.layers")
    heads = _subset(spec.rows.heads, policy.heads, "rows.heads")
    cells = len(layers) * len(heads)
    exact = _subset(spec.rows.exact or (), envs, "rows.exact")
    chosen = _subset(spec.rows.envs, envs, "rows.envs")
    if left := sorted(set(exact) - set(chosen)):
        raise _refuse(ProblemCode.INVALID_REQUEST, f"rows.exact: {left} are not among rows.envs, whose bins are stored")
    kept = keep(spec.rows, chosen, exact, cells, policy)
    return ResolvedCapture(
        **dict(subject.resolved(spec)),
        envs=envs,
        steps=steps,
        map_steps=_map_steps(spec, steps, subject.checkpoint, cells),
        packed_by=packed_by,
        row_layers=layers,
        row_heads=heads,
        compressor_envs=_compressor_envs(spec, policy, kept, steps),
        **vars(kept),
    )


def _compressor_envs(spec: CaptureSpec, policy: PolicyDescription, kept: Kept, steps: int) -> tuple[int, ...] | None:
    """Return the environments whose compressor's attention is stored: those whose rows are kept as they are."""
    if policy.window != "compressed" or spec.sliding:
        return None
    exact = spec.rows.enabled and kept.row_form != "none"
    return compressor_envs(policy, kept.row_envs, steps) if exact else ()


@dataclass(frozen=True)
class Subject:
    """The policy that acts in a job of any kind, and its environment."""

    checkpoint: CheckpointInfo
    preset: EnvPreset
    tasks: tuple[Task, ...]

    def envs(self, seeds: int, replicas: int = 1) -> int:
        """Return how many environments a job of so many seeds steps, if it may be so many."""
        envs = len(self.tasks) * seeds * replicas
        if envs > MAX_ENVS:
            detail = f"{len(self.tasks)} tasks × {seeds} seeds × {replicas} replicas are {envs} environments"
            raise ProblemError(problem(ProblemCode.TOO_LARGE, detail, limit=MAX_ENVS, requested=envs))
        return envs

    @property
    def held_out(self) -> bool | None:
        """True where none of the tasks was trained on or chosen by; None where the train tasks are unknown."""
        if self.checkpoint.train_tasks is None:
            return None
        used = {*self.checkpoint.train_tasks, *(self.checkpoint.validation_tasks or ())}
        return used.isdisjoint(task.index for task in self.tasks)

    def unseen(self) -> tuple[str, tuple[Task, ...]]:
        """Return the name of the split whose tasks neither trained nor chose the policy, and its tasks.

        The split is the checkpoint's own where it names one, else the preset's test list. Without both it is empty.
        """
        known = self.checkpoint
        if known.held_out_tasks:
            return "held-out", tuple(self.preset.task(index) for index in known.held_out_tasks)
        used = {*(known.train_tasks or ()), *(known.validation_tasks or ())}
        left = tuple(task for task in self.preset.tasks("test") if task.index not in used)
        return ("held-out" if known.train_tasks is not None else "test"), left

    def resolved(self, spec: ActingSpecification) -> ResolvedSubject:
        """Return what jobs of every kind say of it."""
        return ResolvedSubject(
            checkpoint_id=self.checkpoint.id,
            checkpoint_name=self.checkpoint.name,
            environment_id=self.preset.environment_id,
            environment_kwargs=dict(self.preset.kwargs),
            preset=self.preset.name,
            horizon=self.preset.horizon,
            sampling=spec.sampling.mode or self.checkpoint.sampling,
            tasks=tuple(task_cell(task) for task in self.tasks),
            held_out=self.held_out,
        )


def find_subject(spec: ActingSpecification, registry: CheckpointRegistry, listings: Listings = LISTED) -> Subject:
    """Return the checkpoint, environment and tasks that a specification names.

    Raises
    ------
    ProblemError
        One of them does not exist, or they do not fit each other.
    """
    checkpoint = _checkpoint(spec.checkpoint, registry)
    chosen = _preset(spec, checkpoint, listings)
    detail = why_other_actions(spec, checkpoint, chosen) or why_other_clock(checkpoint, chosen)
    if detail is not None:
        raise _refuse(ProblemCode.INVALID_REQUEST, detail)
    return Subject(checkpoint, chosen, _tasks(spec.tasks, chosen, checkpoint))


def task_cell(task: Task) -> TaskCell:
    """Return a task as it stands on the wire."""
    return TaskCell(
        index=task.index,
        split=task.split,
        split_index=task.split_index,
        label=task.label,
        goal=task.goal,
        optimal_return=task.optimal_return,
        random_return=task.random_return,
        parameters=dict(task.parameters),
    )


def _refuse(code: ProblemCode, detail: str) -> ProblemError:
    return ProblemError(problem(code, detail))


def _checkpoint(name: str, registry: CheckpointRegistry) -> CheckpointInfo:
    try:
        return registry.get(name)
    except CheckpointUnknownError as error:
        raise _refuse(ProblemCode.UNKNOWN_CHECKPOINT, error.message) from error
    except CheckpointAmbiguousError as error:
        raise _refuse(ProblemCode.AMBIGUOUS_NAME, error.message) from error


def _preset(spec: ActingSpecification, checkpoint: CheckpointInfo, listings: Listings) -> EnvPreset:
    choice = spec.environment
    if choice is not None and choice.id is not None and choice.id not in listings.ids:
        detail = f"{choice.id!r} is not listed here; listed are {', '.join(sorted(listings.ids))}"
        raise _refuse(ProblemCode.UNKNOWN_ENVIRONMENT, detail)
    try:
        bound = listings.preset(checkpoint.preset)
    except LookupError as error:
        detail = f"{checkpoint.name} acts in the preset {checkpoint.preset!r}, which is not listed here"
        raise _refuse(ProblemCode.UNKNOWN_ENVIRONMENT, detail) from error
    if choice is None:
        return bound
    if choice.id not in (None, bound.environment_id):
        detail = f"{checkpoint.name} acts in {bound.environment_id}, not in {choice.id}"
        raise _refuse(ProblemCode.INVALID_REQUEST, detail)
    fixed = {name: value for name, value in choice.kwargs.items() if name in bound.bound_kwargs}
    for name, value in fixed.items():
        if value != bound.kwargs[name]:
            detail = (
                f"environment.kwargs: {checkpoint.name} was trained with {name} {bound.kwargs[name]!r}, not {value!r}"
            )
            raise _refuse(ProblemCode.INVALID_REQUEST, detail)
    try:
        return listings.listing(bound.environment_id).preset({**bound.kwargs, **choice.kwargs})
    except ValueError as error:
        raise _refuse(ProblemCode.INVALID_REQUEST, f"environment.kwargs: {error}") from error


def _tasks(choice: TaskChoice, chosen: EnvPreset, checkpoint: CheckpointInfo) -> tuple[Task, ...]:
    if choice.goals is not None:
        try:
            return tuple(chosen.task_of_goal(goal) for goal in choice.goals)
        except ValueError as error:
            raise _refuse(ProblemCode.INVALID_REQUEST, f"tasks.goals: {error}") from error
    split = choice.split or "test"
    listed = chosen.tasks(split)
    if split == "validation" and not listed:
        listed = _validation(checkpoint, chosen)
    if not listed:
        filled = ", ".join([*(name for name, count in chosen.task_counts.items() if count and name != "all"), "all"])
        said = f"tasks.split: the {split!r} split of {chosen.name} is empty; splits with tasks: {filled}"
        raise _refuse(ProblemCode.INVALID_REQUEST, said)
    return tuple(listed[i] for i in _subset(choice.indices, len(listed), f"tasks.indices (split {split!r})"))


def _validation(checkpoint: CheckpointInfo, chosen: EnvPreset) -> tuple[Task, ...]:
    """Return the tasks that a checkpoint's training was evaluated on; none where its entry names none."""
    every = chosen.tasks("all")
    named = checkpoint.validation_tasks or ()
    return tuple(replace(every[index], split="validation", split_index=place) for place, index in enumerate(named))


def _subset(indices: tuple[int, ...] | None, size: int, name: str) -> tuple[int, ...]:
    if indices is None:
        return tuple(range(size))
    beyond = [i for i in indices if i >= size]
    if beyond:
        raise _refuse(ProblemCode.INVALID_REQUEST, f"{name}: {beyond} lies beyond 0..{size - 1}")
    return indices


def _steps(spec: CaptureSpec, horizon: int) -> int:
    if spec.steps is not None:
        return spec.steps
    if spec.episodes is not None:
        return spec.episodes * horizon
    return min(DEFAULT_EPISODES * horizon, DEFAULT_MAX_STEPS)


def _map_steps(spec: CaptureSpec, steps: int, checkpoint: CheckpointInfo, cells: int) -> tuple[int, ...]:
    """Return the sampled steps, ascending; evenly spaced ones end with the last step.

    A policy that computes no row but the deciding one has no whole map: it is asked for none, and none is promised.
    Maps that are large are sampled only where they are asked for; any step's is replayed later.

    Parameters
    ----------
    cells
        Layers times heads that are kept.
    """
    policy = checkpoint.policy
    if not policy.whole_maps:
        if spec.maps.steps or spec.maps.count:
            detail = f"maps: {checkpoint.name} computes the deciding token's attention alone, so it has no whole map"
            raise _refuse(ProblemCode.INVALID_REQUEST, f"{detail}; ask for none (maps.count 0)")
        return ()
    if spec.maps.steps is not None:
        return tuple(sorted(_subset(spec.maps.steps, steps, "maps.steps")))
    unsaid = DEFAULT_MAPS if 2 * cells * policy.context_length**2 <= LARGE_MAP_BYTES else 0
    return evenly_spaced(unsaid if spec.maps.count is None else spec.maps.count, steps)


def evenly_spaced(count: int, steps: int) -> tuple[int, ...]:
    """Return so many of `steps` steps, evenly spaced and ending with the last; all of them where there are no more."""
    count = min(count, steps)
    return tuple(steps * (i + 1) // count - 1 for i in range(count))
