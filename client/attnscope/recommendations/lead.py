"""The first lines of advice: the answer of a decision, else the screen, else the command that gives an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from attnscope.absent import imported_from
from attnscope.capture import Capture
from attnscope.decisions.wording import arm_words, own_command
from attnscope.recommendations.beside import Beside
from attnscope.recommendations.claims import Claim, claim
from attnscope.recommendations.commands import decide_command
from attnscope.recommendations.gate import Gate
from attnscope.recommendations.screened import Best, agreement, votes
from attnscope.screens.board import Row
from attnscope.screens.results import ScreenResults
from attnscope.screens.sentences import warned
from attnscope_storage.wire import RecordedPolicy
from attnscope_storage.wire.specifications.decisions import CardRung, DecisionCard

Kind = Literal["answer", "screened", "none"]

TITLES: Final[dict[Kind, str]] = {
    "answer": "THE ANSWER, BY ROLLOUTS",
    "screened": "SCREENED, NOT DECIDED",
    "none": "NO ANSWER YET",
}

ATTENTION_ALONE: Final = (
    "Attention says where this policy looks, not what it may forget: only rollouts of the compressed policy tell."
)

UNDECIDED: Final = "No decision can be made about this policy: {}. A trial tells."
"""Stands in the place of the command that decides, which the service would refuse."""

RUNGS: Final = 3
"""Judged rungs that are named, at most."""


@dataclass(frozen=True)
class Lead:
    """The statement that a reader should know first."""

    kind: Kind
    claims: tuple[Claim, ...]
    """Sentences, the most important first."""
    commands: tuple[tuple[str, str], ...] = ()
    """A command, with the result that it gives."""
    gate: tuple[Claim, ...] = ()
    """Why no rule is ranked, or why it is not known whether there is anything to compress: it comes before all else."""

    @property
    def title(self) -> str:
        """The heading."""
        return TITLES[self.kind]


def lead_of(capture: Capture, gate: Gate, beside: Beside, best: list[Best]) -> Lead:
    """Return the lead of advice on a capture.

    Parameters
    ----------
    best
        Every deployable rule of the screen at its best count and positions; empty without a screen.
    """
    card = beside.decision
    if card is not None and card.answer is not None:
        job = beside.decision_job
        card_at = () if job is None else (("the whole card", f"attnscope summary {job}"),)
        return Lead("answer", _answer(card), (*card_at, ("decide again", own_command(card))))
    refused = gate.claims()
    why_not = capture.policy.output.why_undecided
    decide = (("decide by rollouts, in one command", decide_command(capture)),) if why_not is None else ()
    others = () if why_not is None else (Claim("lead.undecided", UNDECIDED.format(why_not)),)
    if imported_from(capture.provenance):
        why = "This capture is of another program, so no policy is here that could be screened or act compressed."
        return Lead("none", (Claim("lead.imported", f"{ATTENTION_ALONE} {why}"),), ADD, refused)
    screens = (("how far each rule changes this capture's decisions", f"attnscope screen {capture.job}"),)
    if (reason := why_unproposed(capture.policy, beside.screen)) is not None:
        claims = [Claim("lead.whole", f"{ATTENTION_ALONE} No rule is proposed: {reason}.")]
        if capture.policy.window != "compressed":
            return Lead("none", tuple(claims), (), refused)
        return Lead("none", (*claims, Claim("lead.packed", PACKED), *others), (*decide, *screens), refused)
    if beside.screen is not None:
        found = _screened(beside.screen, beside.screen_job, best, ranks=gate.ranks)
        ranks = gate.ranks and beside.screen.orders
        tries = (("try these rules by rollouts", f"attnscope trial --recommended {capture.job}"),) if ranks else ()
        return Lead("screened", (*found, *others), (*decide, *tries), refused)
    return Lead("none", (Claim("lead.none", ATTENTION_ALONE), *others), (*decide, *screens), refused)


PACKED: Final = (
    "A screen, a trial and a decision compare it, and rules that shorten its window, with the same weights over a "
    "sliding window without latents."
)


def why_unproposed(policy: RecordedPolicy, screen: ScreenResults | None) -> str | None:
    """Return why no rule is proposed for a policy; None where one is.

    The attention of a policy that packs its history proposes none; a screen compares arms with its sliding partner.
    """
    return None if policy.window == "compressed" and screen is not None else policy.why_whole


ADD: Final = (
    ("add the policy's checkpoint to a service", "attnscope-server checkpoint add PATH"),
    ("then decide by rollouts", "attnscope decide CHECKPOINT"),
)


def _answer(card: DecisionCard) -> tuple[Claim, ...]:
    sentence = card.sentence or f"{card.answer}."
    scope = (
        f"Decision {card.job[:8]}: {card.scope}, margin {100 * card.margin:g} % of the gain over uniform actions, "
        f"{card.rollouts} rollouts in all. The rollouts that judged had no part in choosing arms."
    )
    found = [Claim("answer", sentence)]
    if card.chosen is not None:
        words = arm_words(card.chosen)
        found.append(Claim("answer.arm", f"{words[0].upper()}{words[1:]}."))
    found.append(Claim("answer.scope", scope))
    if card.speed is not None:
        found.append(Claim("answer.speed", f"Speed: {card.speed.words} ({card.speed.envs} environments)."))
    named = [rung for rung in card.rungs if rung.arm not in sentence][:RUNGS]
    if named:
        found.append(Claim("answer.rungs", f"Judged too: {'; '.join(map(_rung, named))}."))
    return tuple(found)


def _rung(rung: CardRung) -> str:
    return f"{rung.arm} {rung.verdict} ({rung.words}, {rung.seeds} seeds)"


def _screened(results: ScreenResults, job: str | None, best: list[Best], *, ranks: bool) -> tuple[Claim, ...]:
    decisions, rollouts = np.asarray(results.arrays["decision/live"]).size, len(results.task)
    named = "The screen" if job is None else f"Screen {job[:8]}"
    found = [
        claim(
            "screen.size",
            f"{named}: {{decisions:.0f}} stored decisions of {{rollouts:.0f}} rollouts of {{tasks:.0f}} tasks. It says "
            "how far each rule would change the policy, not what that costs; it calls no rule harmless.",
            decisions=decisions,
            rollouts=rollouts,
            tasks=len(results.resampling.per_task),
        )
    ]
    found += [Claim("screen.note", note) for note in _notes(results, ranks=ranks)]
    if not (ranks and results.orders) or not best:
        return tuple(found)
    voted = votes(results, best)
    found.append(Claim("screen.worth", "First rules of each vote, of those that keep at most half of a full context:"))
    found += [_vote(name, of) for name, of in voted.items()]
    return (*found, Claim("screen.agreement", agreement(voted)))


def _notes(results: ScreenResults, *, ranks: bool) -> list[str]:
    """Return what the screen says of its own worth; what the gate has said already is not said again."""
    kept = [one for one in warned(results) if one not in results.notes and (ranks or "earn" not in one)]
    return [f"{one[0].upper()}{one[1:]}." for one in kept]


def _vote(name: str, of: list[Best]) -> Claim:
    """Return a vote with the numbers that it orders by."""
    words, numbers = list[str](), dict[str, float]()
    for index, one in enumerate(of):
        value, digits = _NUMBERS[name](one.row)
        numbers[f"of{index}"] = float(value)
        words.append(f"{one.name} ({value:{digits}})")
    return Claim(f"screen.vote.{name}", f"  by {name}: {'; '.join(words)}", numbers)


_NUMBERS: Final[dict[str, Callable[[Row], tuple[float, str]]]] = {
    "departure": lambda row: (row.tv_live, ".3f"),
    "signed loss": lambda row: (row.signed or 0.0, "+.3f"),
    "retained attention": lambda row: (row.retained or 0.0, ".3f"),
}
"""The number that each vote orders by, and its digits."""
