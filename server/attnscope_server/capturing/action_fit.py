"""The fit of a policy to an environment: its actions (how many choices, among how many, or a vector), and its clock."""

from __future__ import annotations

from typing import NamedTuple

from attnscope_env.presets.tasks import EnvPreset
from attnscope_storage.wire import ActingSpecification, CheckpointInfo


class ActionShape(NamedTuple):
    """The shape of an action."""

    actions: int
    """Actions to choose from, those of all branches together; or the numbers of an action vector."""
    branches: tuple[int, ...]
    """Sizes of the independent choices; empty where there is one."""
    continuous: bool
    """True where an action is a vector."""

    @property
    def words(self) -> str:
        """An action in words."""
        if self.continuous:
            return f"vectors of {self.actions} numbers"
        if self.branches:
            return f"{len(self.branches)} choices at once, among {', '.join(map(str, self.branches))} actions"
        return f"one choice among {self.actions} actions"


def why_other_actions(spec: ActingSpecification, checkpoint: CheckpointInfo, chosen: EnvPreset) -> str | None:
    """Return why a policy cannot act in an environment as it is asked to; None where it can."""
    policy, output = checkpoint.policy, checkpoint.policy.output
    gives = ActionShape(policy.actions, output.branches, output.continuous)
    takes = ActionShape(len(chosen.actions), chosen.branches, chosen.continuous)
    if gives != takes and gives[1:] == takes[1:] == ((), False):
        return f"{checkpoint.name} chooses among {gives.actions} actions, {chosen.name} has {takes.actions}"
    if gives != takes:
        return f"{checkpoint.name} gives {gives.words}, {chosen.name} takes {takes.words}"
    if output.kind == "vector" and (spec.sampling.mode or checkpoint.sampling) == "sample":
        detail = f"sampling.mode: {checkpoint.name} gives one action vector without a distribution to draw from"
        return f"{detail}; ask for greedy"
    return None


def why_other_clock(checkpoint: CheckpointInfo, chosen: EnvPreset) -> str | None:
    """Return why a policy's clock would tell a wrong step of the episode in an environment; None where it would not."""
    steps = checkpoint.policy.clock_steps
    if steps == 0 or (steps == chosen.horizon and chosen.whole_episodes):
        return None
    lasts = f"last {chosen.horizon} steps" if chosen.whole_episodes else "may end early"
    return f"{checkpoint.name} counts {steps} steps in every episode, those of {chosen.name} {lasts}"
