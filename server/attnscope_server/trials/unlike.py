"""The reason why the rollouts of two checkpoints cannot be paired, in words."""

from __future__ import annotations

from typing import Final

from attnscope_server.capturing.resolving import Subject
from attnscope_storage.wire import TrialSpec

SPLITS: Final = frozenset({"split_shuffle", "split_seed", "train_ratio"})
"""Arguments of an environment that part its tasks and change none of them."""


def why_unlike(spec: TrialSpec, first: Subject, other: Subject) -> str | None:
    """Return why two checkpoints do not act on the same terms; None where they do."""
    if (reason := _environment(first, other)) is not None:
        return reason
    ours, theirs = (subject.checkpoint.policy.output for subject in (first, other))
    if ours != theirs:
        return "their heads give actions of different kinds"
    if [task.index for task in first.tasks] != [task.index for task in other.tasks]:
        split = spec.tasks.split or "test"
        return f"the tasks of the {split} split are not the same for both; name tasks by goals, or by indices of all"
    modes = [subject.checkpoint.sampling for subject in (first, other)]
    if spec.sampling.mode is None and modes[0] != modes[1]:
        return f"one acts by {modes[0]}, the other by {modes[1]}; say which by sampling.mode"
    return None


def _environment(first: Subject, other: Subject) -> str | None:
    """Return how the environments or the numbers of actions differ; None where they are one."""
    one, two = first.preset, other.preset
    if one.environment_id != two.environment_id:
        return f"they act in {one.environment_id} and in {two.environment_id}"
    if (one.actions, one.branches) != (two.actions, two.branches):
        return f"their actions are numbered otherwise ({', '.join(one.actions)}; {', '.join(two.actions)})"
    names = [name for name in {**one.kwargs, **two.kwargs} if name not in SPLITS]
    differing = [name for name in names if one.kwargs.get(name) != two.kwargs.get(name)]
    if not differing:
        return None
    ways = ", ".join(f"{name} {one.kwargs.get(name)!r} and {two.kwargs.get(name)!r}" for name in differing)
    return f"they act in {one.environment_id} with {ways}"
