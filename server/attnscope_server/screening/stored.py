"""A capture's committed rollouts as histories: read some at a time, up to the step that a screen was told."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int, Shaped

from attnscope_model.errors import CaptureInvalidError
from attnscope_server.screening.histories import Histories
from attnscope_storage.reading.reader import CaptureReader


class StoredHistories:
    """The first steps of a capture's rollouts.

    Parameters
    ----------
    reader
        The capture.
    steps
        How many of its committed steps are read.
    rows
        Whether it keeps the rows of every step, environment, layer and head.

    Raises
    ------
    CaptureInvalidError
        Its contexts were compressed by a rule, or fewer steps are committed.
    """

    def __init__(self, reader: CaptureReader, steps: int, *, rows: bool) -> None:
        self.packed = reader.policy.window == "compressed"
        """True where the policy acted with latents: the uncompressed decisions are then not the stored ones."""
        self.packed_by = reader.policy.packed_by
        """The installed compressor that it acted with; None of its own, and where nothing was packed."""
        if "context/transition_first" in reader.root.arrays and not self.packed:
            raise CaptureInvalidError("the contexts of this capture were compressed by a rule: it is not screened")
        if reader.steps_committed < steps:
            raise CaptureInvalidError(f"expected {steps} committed steps, the capture has {reader.steps_committed}")
        self._reader = reader
        self._steps = steps
        self.has_rows = rows
        """True where the attention of every decision is stored."""
        self.dtype = str(reader.attributes["provenance"]["dtype"])
        """Of the matrix products by which it was captured."""
        self.head = reader.policy.output.array
        """Array of the numbers that each decision's head gave."""
        self.task: Int[np.ndarray, " rollout"] = reader.array("env/task")[:]
        self.seed: Int[np.ndarray, " rollout"] = reader.array("env/seed")[:]
        self.replica: Int[np.ndarray, " rollout"] = reader.array("env/replica")[:]
        self.split: Int[np.ndarray, " rollout"] = reader.array("env/split")[:]

    @property
    def rollouts(self) -> int:
        """Number of rollouts."""
        return len(self.task)

    @property
    def steps(self) -> int:
        """Steps that are read of every rollout."""
        return self._steps

    def read(self, rollouts: Int[np.ndarray, " part"]) -> Histories:
        """Return some rollouts whole."""
        ended = [self._array(f"rollout/{name}", rollouts) for name in ("terminated", "truncated")]
        return Histories(
            observation=self._array("rollout/observation", rollouts),
            action=self._array("rollout/action", rollouts),
            reward=self._array("rollout/reward", rollouts),
            next_observation=self._array("rollout/next_observation", rollouts),
            ended=(ended[0] > 0) | (ended[1] > 0),
            task=self.task[rollouts],
            seed=self.seed[rollouts],
            replica=self.replica[rollouts],
            rows=self._rows(rollouts) if self.has_rows else None,
        )

    def logits(
        self, rollouts: Int[np.ndarray, " part"], steps: Int[np.ndarray, "part decision"]
    ) -> Float32[np.ndarray, "part decision action"]:
        """Return the numbers of the head that were stored of some decisions."""
        stored = self._array(self.head, rollouts)
        return np.asarray(stored[np.arange(len(rollouts))[:, None], steps])

    def _array(self, name: str, rollouts: Int[np.ndarray, " part"]) -> Shaped[np.ndarray, "part step ..."]:
        """Return an array of some rollouts, the rollout's axis first."""
        values = self._reader.array(name)[: self._steps, [int(one) for one in rollouts]]
        return np.moveaxis(values, 0, 1)

    def _rows(self, rollouts: Int[np.ndarray, " part"]) -> Float32[np.ndarray, "part step slot"]:
        """Return the mean of the stored rows over layers and heads, one rollout after another to save memory."""
        found = [
            self._array("attention/rows", np.array([one]))[0].astype(np.float32).mean(axis=(1, 2)) for one in rollouts
        ]
        return np.stack(found)
