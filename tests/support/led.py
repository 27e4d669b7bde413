"""A decision and a screen beside a planted capture, made up, so that advice has something that leads it."""

from __future__ import annotations

import numpy as np

from attnscope.screens.results import ScreenResults
from attnscope_model.strategies import candidates
from attnscope_storage.wire import Condition, PolicyDescription
from attnscope_storage.wire.specifications.decisions import CardArm, CardRung, DecisionCard

SENTENCE = (
    "Compress to recency 12, keep: it keeps 0.990 [0.972, 1.008] of the gain over random actions, non-inferior at a "
    "margin of 5 % (20 seeds on each of these 8 tasks)."
)

ROLLOUTS, DECISIONS = 32, 16


def screened(capture, earning: float = 1.0) -> ScreenResults:
    """Return a screen of every rule at two budgets and two position policies, and of oracles, departures drawn."""
    arms = []
    for one in candidates():
        for interval in sorted({one.interval, 1 if one.online else one.interval}) + ([] if one.online else [1]):
            for budget in (0.4, 0.6) if one.key != "none" else (None,):
                for positions in ("keep", "reindex"):
                    rule = one.choices[0]
                    oracle = interval == 1 and not one.online
                    arms.append(
                        Condition(
                            index=len(arms), strategy=rule.name, parameters=rule.parameters, text=str(rule),
                            budget=budget, positions=positions, interval=interval, memory="stateless",
                            path="recompute", control=False, oracle=oracle,
                        )
                    )  # fmt: skip
    rng, shape = np.random.default_rng(0), (ROLLOUTS, len(arms), DECISIONS)
    departure = rng.random(shape) * np.linspace(0.1, 0.9, len(arms))[:, None]
    rewards = [arm.index for arm in arms if arm.strategy == "rewards"]
    recency = [arm.index for arm in arms if arm.strategy == "recency"]
    departure[:, rewards] = departure[:, recency]  # here the two rules keep the same everywhere
    kept = np.broadcast_to([[12 if arm.budget == 0.4 else 18] for arm in arms], shape[1:])
    arrays = {f"screen/{name}": departure for name in ("departure", "signed", "kl", "flip")} | {
        "screen/retained": 1 - departure**2, "screen/kept": np.broadcast_to(kept, shape),
        "decision/held": np.full((ROLLOUTS, DECISIONS), 29), "decision/live": np.ones((ROLLOUTS, DECISIONS)),
        "decision/follows": np.ones((ROLLOUTS, DECISIONS)), "decision/found": np.ones((ROLLOUTS, DECISIONS)),
        "decision/episode": np.zeros((ROLLOUTS, DECISIONS)), "rollout/episodes": np.full(ROLLOUTS, 6),
        "rollout/live_each": np.full(ROLLOUTS, 15.0), "cost/seconds": np.ones((ROLLOUTS, 3)),
        "rollout/earned": np.arange(ROLLOUTS) < earning * ROLLOUTS,
    }  # fmt: skip
    policy = PolicyDescription(**capture.policy.model_dump())
    return ScreenResults(tuple(arms), policy, np.arange(ROLLOUTS) % 8, arrays)


def decided(capture, **changes) -> DecisionCard:
    """Return the card of a decision on the capture's checkpoint."""
    arm = CardArm(name="recency 12, keep", strategy="recency", budget=12, tokens=12, positions="keep")
    rungs = [
        CardRung(arm=name, tokens=tokens, verdict=word, kept=kept, low=low, high=high, tasks=8, seeds=20, words=words)
        for name, tokens, word, kept, low, high, words in (
            ("recency 12, keep", 12, "non-inferior", 0.99, 0.972, 1.008, "kept 0.990 [0.972, 1.008]"),
            ("recency 6, keep", 6, "inferior", 0.61, 0.4, 0.8, "kept 0.610 [0.400, 0.800]"),
        )
    ]
    told = {
        "job": "d" * 36, "checkpoint_id": "c" * 64, "checkpoint_name": "toy", "environment_id": "attnscope/Darkroom-v0",
        "answer": "compress to", "sentence": SENTENCE, "margin": 0.05, "worth": 2.0, "scope": "these 8 tasks",
        "chosen": arm, "rungs": tuple(rungs), "rollouts": 612, "command": "attnscope decide cccccccccccc",
    }  # fmt: skip
    assert capture.resolved.checkpoint_id == told["checkpoint_id"]
    return DecisionCard.model_validate(told | changes)
