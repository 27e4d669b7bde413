"""The env axis: the task, seed and replica of every environment that acts. It imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True)
class EnvAxis:
    """The env axis of a rollout, in the order that the environments are stepped in."""

    task: Int[np.ndarray, " env"]
    """Task indices, as a specification resolved them."""
    seed: Int[np.ndarray, " env"]
    replica: Int[np.ndarray, " env"]
    split: Int[np.ndarray, " env"]
    position: Int[np.ndarray, " env"]
    """Index of each environment's task among the resolved tasks."""

    def named(self, env: int) -> str:
        """Return the name of one environment of the axis, for people."""
        return f"environment {env} (task {self.task[env]}, seed {self.seed[env]}, replica {self.replica[env]})"
