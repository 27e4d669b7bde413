"""The costs and savings of a condition: tokens, bytes, operations, and the divergence of its decisions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from attnscope.measures.intervals import Estimate
from attnscope.trials.bootstrap import PairedBootstrap
from attnscope.trials.packing import packing_moment
from attnscope.trials.results import TrialResults
from attnscope_model.strategies.learned import Latents

FLOAT_BYTES = 4
"""Of a stored number: contexts are kept in float32."""


@dataclass(frozen=True)
class Divergence:
    """The distance of decisions on the uncompressed rollout's own histories from the uncompressed ones."""

    kl: Estimate | None
    """KL(uncompressed ‖ compressed) in nats, mean; None where actions have no distribution."""
    kl_p95: float | None
    """Of single decisions."""
    flips: Estimate | None
    """Share of decisions whose most likely action is another; None where actions are vectors."""
    kl_growing: float | None
    """Mean where the context still grows; NaN where no such step was sampled."""
    kl_full: float | None
    departure: Estimate | None = None
    """Mean departure, as the policy's head has it; None in trials of earlier versions."""


def effective_budget(results: TrialResults, condition: int, bootstrap: PairedBootstrap) -> Estimate:
    """Return Σ tokens kept ÷ Σ tokens held over all decisions: the budget that was really used."""
    kept, held = (values[condition].mean(axis=-1) for values in (results.kept, results.held))
    return bootstrap.ratio(kept, held)


def tokens(results: TrialResults, condition: int) -> float:
    """Return the history tokens of a decision, with a full context where it ever is full."""
    return float(results.kept[condition][..., _counted(results)].mean())


def context_bytes(results: TrialResults, condition: int) -> float:
    """Return the bytes that one rollout must hold, on average, with a full context where it ever is full.

    Embeddings of every token that may be selected again: of the whole window where selection is stateless. Keys and
    values of every layer where they are cached. Everything since the rollout began where it is packed anew each time.
    Where a compressor packs, what its largest compression takes for a moment is added.
    """
    of, policy = results.conditions[condition], results.policy_of(condition)
    if of.strategy == Latents.name and of.parameters.get("once"):
        seen = (np.flatnonzero(_counted(results)) + 0.5) * results.resolved.horizon * policy.tokens_per_transition
        return float(seen.mean()) * policy.width * FLOAT_BYTES + packing_moment(results, condition)
    stored = results.kept if of.memory == "stateful" or of.path == "cached" else results.held
    numbers = policy.width * (2 * policy.layers if of.path == "cached" else 1)
    held = float(stored[condition][..., _counted(results)].mean()) * numbers * FLOAT_BYTES
    return held + packing_moment(results, condition)


def operations(results: TrialResults, condition: int) -> tuple[float, float]:
    """Return the operations of a decision's forward and their share of the baseline's, over all decisions."""
    own, plain = (float(results.flops[place].mean()) for place in (condition, results.against(condition)))
    return own, own / plain if plain > 0 else float("nan")


def divergence(results: TrialResults, condition: int, bootstrap: PairedBootstrap) -> Divergence | None:
    """Return how far decisions diverge; None where it was not asked for."""
    kl, flip, departure = (results.measured(f"divergence/{name}") for name in ("kl", "flip", "departure"))
    if kl is None and departure is None:
        return None
    own = None if kl is None else kl[condition]
    per = results.policy.tokens_per_transition
    full = results.static("divergence/step") * per >= results.capacity
    mean, *others = (
        None if values is None else bootstrap.mean(values[condition].mean(axis=0)) for values in (kl, flip, departure)
    )
    return Divergence(
        mean,
        None if own is None else float(np.quantile(own, 0.95)),
        others[0],
        None if own is None else _mean(own[~full]),
        None if own is None else _mean(own[full]),
        others[1],
    )


def pairing(results: TrialResults, condition: int) -> float:
    """Return the correlation of compressed and uncompressed returns within tasks: what common random numbers gained.

    NaN where a task has one seed or nothing varies.
    """
    pair = [results.returns[place].mean(axis=-1) for place in (condition, results.against(condition))]
    own, plain = (values - values.mean(axis=0) for values in pair)
    scale = float(np.sqrt((own**2).sum() * (plain**2).sum()))
    return float((own * plain).sum()) / scale if scale > 0 else float("nan")


def _counted(results: TrialResults) -> Bool[np.ndarray, " episode"]:
    return results.full if results.full.any() else np.ones_like(results.full)


def _mean(values: Float64[np.ndarray, ...]) -> float:
    return float(values.mean()) if values.size else float("nan")
