"""A comparison of somebody's own loop with the arm that a decision answers with, action distribution by distribution.

The loop is led through one stored rollout of the uncompressed policy. It says at every step how it would act; the
decision stored how its arm would. Nothing here runs a policy.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Int, Shaped

from attnscope.decisions.decision import Decision
from attnscope.errors import LoopUnfitError
from attnscope.fetching.stored import Stored
from attnscope_storage.wire.specifications.decisions import LoopSample

FUNCTION: Final = "distributions"
"""Function that a file with somebody's loop has."""

SAME: Final = 0.01
"""Total variation up to which two distributions count as the same: room for another order of float32 sums."""

MOST_OTHER: Final = 0.01
"""Share of compared decisions that may lie further apart in a loop that is the same: ties of selections."""

History = dict[str, Shaped[np.ndarray, "step ..."]]
"""One rollout: ``observation``, ``action``, ``reward``, ``next_observation`` and ``ended``, [step, ...]."""


@dataclass(frozen=True)
class LoopCheck:
    """The outcome of a comparison."""

    arm: str
    compared: int
    """Decisions compared."""
    other: int
    """Decisions further apart than `SAME`."""
    furthest: float
    """Largest total variation."""
    first: int | None
    """First step that is further apart; None where there is none."""
    like_uncompressed: bool
    """The loop acts as the uncompressed policy, and not as the arm."""

    @property
    def same(self) -> bool:
        """True where the loop acts as the arm."""
        return self.other <= MOST_OTHER * self.compared

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        found = f"{self.compared - self.other} of {self.compared} action distributions are those of {self.arm}"
        if self.same:
            return f"Your loop acts as the trial did: {found} (largest total variation {self.furthest:.2g})."
        why = " It acts as the uncompressed policy does: nothing is dropped." if self.like_uncompressed else ""
        return (
            f"Your loop does not act as the trial did: {found}; the first that is not is step {self.first}, the "
            f"largest total variation {self.furthest:.2g}.{why}"
        )


def history_of(capture: Stored, sample: LoopSample) -> History:
    """Return the rollout that a loop is led through, up to the last compared step."""
    last = max(sample.steps) + 1
    names = ("observation", "action", "reward", "next_observation", "terminated", "truncated")
    read = {name: np.asarray(capture[f"rollout/{name}"][:last, sample.env]) for name in names}
    read["ended"] = (read.pop("terminated") > 0) | (read.pop("truncated") > 0)
    return read


def loop_of(path: Path) -> Callable[[History], Any]:
    """Return the function `distributions` of a Python file of the caller's own.

    Raises
    ------
    LoopUnfitError
        The file has no such function.
    """
    described = importlib.util.spec_from_file_location("loop_to_check", path)
    if described is None or described.loader is None or not path.exists():
        raise LoopUnfitError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    found = getattr(module, FUNCTION, None)
    if not callable(found):
        raise LoopUnfitError(f"{path} has no function {FUNCTION}(history)")
    loop: Callable[[History], Any] = found
    return loop


def outputs_of(loop: Path | None, answers: Path | None, history: History) -> Shaped[np.ndarray, ...]:
    """Return what a loop says of a history: by its function, or by the file that it wrote elsewhere."""
    if answers is not None:
        return np.asarray(np.load(answers, allow_pickle=False))
    return np.asarray(loop_of(Path() if loop is None else loop)(history))


def export_history(path: Path, history: History) -> None:
    """Write a history as a file that NumPy reads."""
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **history)


def sample_of(decision: Decision) -> LoopSample:
    """Return the stored decisions of the answered arm.

    Raises
    ------
    LoopUnfitError
        The decision answers with no arm, or an earlier version made it.
    """
    sample = decision.loop
    if sample is None:
        raise LoopUnfitError("this decision answers with no arm, so there is nothing to compare a loop with")
    return sample


def uncompressed_of(sample: LoopSample) -> Float[np.ndarray, "decision action"]:
    """Return the action probabilities of the uncompressed policy at the compared steps."""
    return np.array(sample.uncompressed, np.float64)


def check_loop(
    outputs: Shaped[np.ndarray, ...],
    sample: LoopSample,
    uncompressed: Float[np.ndarray, "step action"] | None = None,
) -> LoopCheck:
    """Compare what a loop said with what the arm did.

    Parameters
    ----------
    said
        Action probabilities of every step, [step, action], or most likely actions, [step]; from the rollout's first
        step on, or of the compared steps alone.
    uncompressed
        Action probabilities of the uncompressed policy at the compared steps.

    Raises
    ------
    LoopUnfitError
        They are of another shape, or no probabilities.
    """
    wanted = np.array(sample.probabilities, np.float64)
    own = _at_steps(np.asarray(outputs), sample, wanted.shape[1])
    apart = _apart(own, wanted)
    other = apart > SAME
    like = uncompressed is not None and bool((_apart(own, np.asarray(uncompressed)) <= SAME).mean() >= 1 - MOST_OTHER)
    return LoopCheck(
        arm=sample.arm,
        compared=len(apart),
        other=int(other.sum()),
        furthest=float(apart.max()),
        first=int(np.array(sample.steps)[other][0]) if other.any() else None,
        like_uncompressed=like and bool(other.sum() > MOST_OTHER * len(apart)),
    )


def _at_steps(outputs: Shaped[np.ndarray, ...], sample: LoopSample, actions: int) -> Shaped[np.ndarray, "decision ..."]:
    """Return what was said of the compared steps."""
    lengths = (max(sample.steps) + 1, len(sample.steps))
    if outputs.ndim not in (1, 2) or len(outputs) not in lengths or (outputs.ndim == 2 and outputs.shape[1] != actions):  # noqa: PLR2004 - [step, action]
        expected = f"[{lengths[0]}, {actions}] probabilities or [{lengths[0]}] actions"
        raise LoopUnfitError(f"expected {expected}, or those of the {lengths[1]} compared steps, got {outputs.shape}")
    mine = outputs if len(outputs) == lengths[1] else outputs[np.array(sample.steps)]
    if mine.ndim == 2 and not (np.isfinite(mine).all() and np.allclose(mine.sum(axis=1), 1, atol=1e-3)):  # noqa: PLR2004 - as above
        raise LoopUnfitError("expected probabilities that sum to 1 at every compared step")
    return np.asarray(mine)


def _apart(
    outputs: Float[np.ndarray, "decision action"] | Int[np.ndarray, " decision"],
    wanted: Float[np.ndarray, "decision action"],
) -> Float[np.ndarray, " decision"]:
    """Return the total variation at every decision; for actions, 1 where another one is the most likely."""
    if outputs.ndim == 1:
        return np.asarray(outputs.astype(int) != wanted.argmax(axis=1), np.float64)
    return np.asarray(0.5 * np.abs(outputs - wanted).sum(axis=1))
