"""The arrays of one condition of a trial, which one commit writes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from attnscope_storage.kinds.trial.schema import DEPARTURE


@dataclass(frozen=True)
class ConditionResult:
    """One condition's arrays by the names of `attnscope_storage.kinds.trial.schema`, without the condition axis."""

    returns: Float[np.ndarray, "seed task episode"]
    kept: Float[np.ndarray, "seed task episode"]
    held: Float[np.ndarray, "seed task episode"]
    flops: Float[np.ndarray, "seed task episode"]
    action: Shaped[np.ndarray, "seed task step ..."]
    reward: Float[np.ndarray, "seed task step"]
    kl: Float[np.ndarray, "sample seed task"] | None = None
    flip: Int[np.ndarray, "sample seed task"] | None = None
    departure: Float[np.ndarray, "sample seed task"] | None = None
    kept_first: Int[np.ndarray, "moment task token"] | None = None
    kept_last: Int[np.ndarray, "moment task token"] | None = None
    seconds: Float[np.ndarray, "phase level arm round"] | None = None
    p50: Float[np.ndarray, "phase level arm"] | None = None
    p95: Float[np.ndarray, "phase level arm"] | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays that are set, by name."""
        named = {
            "trial/return": self.returns,
            "trial/kept": self.kept,
            "trial/held": self.held,
            "trial/flops": self.flops,
            "rollout/action": self.action,
            "rollout/reward": self.reward,
            "divergence/kl": self.kl,
            "divergence/flip": self.flip,
            DEPARTURE: self.departure,
            "kept/first": self.kept_first,
            "kept/last": self.kept_last,
            "speed/seconds": self.seconds,
            "speed/p50": self.p50,
            "speed/p95": self.p95,
        }
        return {name: values for name, values in named.items() if values is not None}
