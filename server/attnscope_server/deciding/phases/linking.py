"""A capture of another job that a decision reads in place of its own: it is linked, never copied."""

from __future__ import annotations

from dataclasses import dataclass

from attnscope_server.deciding.statistics.scopes import Scope
from attnscope_server.errors import ProblemError, refusal
from attnscope_storage.wire import CaptureSpec, CheckpointInfo, ProblemCode, ResolvedCapture

FEWEST_SEEDS = 2
"""Seeds a task that a linked capture has at least: the gate needs their spread."""

FEWEST_ROLLOUTS = 8
"""Rollouts that a linked capture has at least."""


@dataclass(frozen=True)
class Linked:
    """A capture that is linked."""

    store: str
    checkpoint: str
    tasks: tuple[int, ...]
    seeds: tuple[int, ...]
    steps: int
    """Steps that are committed."""

    def refuse_unfit(self, checkpoint: CheckpointInfo, scope: Scope, seed_base: int, steps: int) -> None:
        """Refuse a capture that is of another checkpoint, too short, or not apart from what will judge.

        Raises
        ------
        ProblemError
            It says what is wrong, and what to ask for.
        """
        if self.checkpoint != checkpoint.id:
            raise unfit(f"it is not of {checkpoint.name}")
        if self.steps < steps:
            raise unfit(f"it has {self.steps} committed steps, {steps} are needed: name fewer episodes")
        if len(scope.tasks) == 1 and set(self.tasks) & set(scope.tasks) and max(self.seeds) >= seed_base + 10_000:
            raise unfit("its seeds are those that judge: name another first seed by seeds")


def linked(store: str, spec: CaptureSpec, resolved: ResolvedCapture, committed: int, *, packed: bool = False) -> Linked:
    """Return a capture as it is linked.

    Parameters
    ----------
    packed
        The policy acted with latents.

    Raises
    ------
    ProblemError
        The policy acted with latents, its rollouts are not one a seed of consecutive seeds, or they are too few.
    """
    if packed:
        raise unfit("the policy acted with latents there, and a decision reads its uncompressed rollouts: --sliding")
    seeds = tuple(sorted(spec.seeds))
    if spec.replicas != 1 or seeds != tuple(range(seeds[0], seeds[0] + len(seeds))):
        raise unfit("a decision reads captures of one replica and consecutive seeds")
    tasks = tuple(cell.index for cell in resolved.tasks)
    if len(seeds) < FEWEST_SEEDS or len(seeds) * len(tasks) < FEWEST_ROLLOUTS:
        found = f"{len(tasks)} tasks × {len(seeds)} seeds"
        raise unfit(f"it has {found}; {FEWEST_ROLLOUTS} rollouts and {FEWEST_SEEDS} seeds a task are needed")
    return Linked(store, resolved.checkpoint_id, tasks, seeds, committed)


def unfit(why: str) -> ProblemError:
    """Return the refusal of a capture that cannot be linked."""
    return refusal(ProblemCode.INVALID_REQUEST, f"capture: {why}")
