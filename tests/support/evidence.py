"""A screen and a card for tests of the answer's views, with names that would be markup."""

from __future__ import annotations

import math

import numpy as np

from attnscope.page.answered import Evidence
from attnscope_storage.wire.specifications.cards import CardLook
from attnscope_storage.wire.specifications.decisions import CardArm, CardRung, DecisionCard
from screens import arm_of, screen_of

EVIL = "<img src=x onerror=window.hacked=2>"
RULES = ("recency", "uniform", "sinks", "merging")
BUDGETS = (10, 20, 0.5)
TASK = np.repeat(np.arange(8), 4)
SAFE = (5.59, 3.96)


def screened():
    """Return a screen of four rules, the last one an oracle, at three budgets; the second departs least."""
    asked = [(rule, budget) for rule in RULES for budget in BUDGETS]
    arms = [arm_of(place, rule, budget, oracle=rule == "merging") for place, (rule, budget) in enumerate(asked)]
    height = [0.3 - 0.1 * (rule == "uniform") - 0.05 * BUDGETS.index(budget) for rule, budget in asked]
    departure = np.broadcast_to(np.array(height)[:, None], (len(TASK), len(arms), 3))
    return screen_of(arms, departure, TASK, name=f"toy {EVIL}", notes=(f"left out: {EVIL}",))


def looked(arm: str, number: int, verdict: str, kept: float, low: float, score: float) -> CardLook:
    """Return one look."""
    return CardLook(
        arm=arm, number=number, tasks=8, seeds=5 * number, verdict=verdict, kept=kept, low=low, high=1.02, score=score,
        safe=SAFE[number - 1], harm=2.41, may_be_safe=number > 1,
    )  # fmt: skip


def card_of(**changes) -> DecisionCard:
    """Return a card whose first arm holds at its second look and whose second arm, of a hostile name, is inferior."""
    first, second = "recency 20, keep", f"{EVIL} 10, keep"
    looks = (
        looked(first, 1, "undecided", 1.0, -math.inf, 1.1),
        looked(first, 2, "non-inferior", 0.99, 0.96, 4.2),
        looked(second, 1, "inferior", 0.7, 0.6, -3.0),
    )
    arms = tuple(
        CardArm(name=name, strategy="recency", budget=n, tokens=n, positions="keep", departures_per_episode=departs)
        for name, n, departs in ((first, 20, 0.4), (second, 10, 2.0))
    )
    rungs = tuple(
        CardRung(
            arm=one.arm, tokens=n, verdict=one.verdict, kept=one.kept, low=one.low, high=one.high, tasks=8,
            seeds=one.seeds, words="",
        )
        for one, n in zip(looks[1:], (20, 10), strict=True)
    )  # fmt: skip
    common = DecisionCard(
        job="d" * 36, checkpoint_id="c" * 64, checkpoint_name="toy", environment_id="e", answer="compress to",
        sentence=f"Compress to recency 20. {EVIL}", margin=0.05, worth=2.0, scope="these 8 tasks", chosen=arms[0],
        rungs=rungs, looks=looks, arms=arms, rollouts=100, command="attnscope decide c", lines=("gate: it learns",),
        paste="tokens = window",
    )  # fmt: skip
    return common.model_copy(update=changes)


def evidence(**changes) -> Evidence:
    """Return the card and the screen."""
    return Evidence(**{"card": card_of(), "screen": screened(), "screen_job": "s" * 36, "rollouts": (3, 8), **changes})
