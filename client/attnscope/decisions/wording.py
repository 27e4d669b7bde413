"""A card in words: the same facts in a terminal, in a file, on a page and in a picture."""

from __future__ import annotations

import shlex
from types import MappingProxyType
from typing import Final

from attnscope_storage.wire.specifications.cards import CardArm, DecisionCard, attempt_words

LIMITS: Final = (
    "brackets hold repeated intervals, which allow for every look; all is about this checkpoint, not about its recipe"
)

STANDS: Final = MappingProxyType(
    {
        "keep": "each kept token keeps the position that it had in the whole window",
        "reindex": "kept tokens are numbered anew from 0 on",
        "right_align": "kept tokens stand just before the query, which has the last position",
    }
)
"""Positions of kept tokens under each position policy."""


def arm_words(arm: CardArm) -> str:
    """Return what an arm keeps and where it stands, in words."""
    many = (
        f"at most {arm.budget} transitions" if isinstance(arm.budget, int) else f"{arm.tokens} tokens of a full context"
    )
    if isinstance(arm.budget, float):
        many = f"{arm.budget:.0%} of the history"
    often = {1: "at every decision", "full": "whenever the context is full"}.get(
        arm.interval, f"every {arm.interval} decisions"
    )
    whence = "the stored window" if arm.memory == "stateless" else "what it kept before"
    stands = STANDS.get(arm.positions, arm.positions)
    return f"the rule {arm.strategy} keeps {many}, selected {often} from {whence}; {arm.positions}: {stands}"


NOT_OURS: Final = "(the card's command is none of attnscope's, and is not shown)"
"""In place of a command that nobody should paste."""


def card_facts(card: DecisionCard) -> list[tuple[str, str]]:
    """Return what a card says beside its answer, as pairs of a word and its text; the same in every form of it."""
    rollouts = f"{card.rollouts} rollouts, baseline, gate and capture counted"
    if card.random_rollouts:
        rollouts += f"; {card.random_rollouts} of uniform actions beside"
    facts = [
        ("policy", f"{card.checkpoint_name} ({card.checkpoint_id[:12]}) in {card.environment_id}"),
        ("scope", f"{card.scope}; margin {100 * card.margin:g} %; judged from episode {card.first_episode + 1} on"),
        ("limits", LIMITS),
        ("cost", rollouts),
    ]
    facts += [] if card.chosen is None else [("arm", arm_words(card.chosen))]
    facts += [
        ("rung", f"{one.arm}: {one.verdict}, {one.words}, {one.tasks} tasks × {one.seeds} seeds") for one in card.rungs
    ]
    if card.speed is not None:
        facts.append(("speed", f"{card.speed.words} ({card.speed.envs} environments on {card.speed.device})"))
    if card.memory is not None:
        facts.append(("memory", card.memory.words))
    reasons = dict.fromkeys(one.reason for one in card.refused)
    facts += [
        ("refused", f"{reason}: {'; '.join(one.arm for one in card.refused if one.reason == reason)}")
        for reason in reasons
    ]
    attempt = attempt_words(card.earlier, card.first_seed)
    facts += [] if attempt is None else [("attempt", attempt)]
    facts += [("earlier", f"{one.job[:8]}: {one.sentence or 'no answer'}") for one in card.earlier]
    facts += [("note", note) for note in card.notes]
    return facts


def own_command(card: DecisionCard) -> str:
    """Return the command that asks for the decision again; a card's that is none of attnscope's is not shown.

    A reader pastes it into a shell, and a card may come from a service or a folder that is not trusted.
    """
    try:
        words = shlex.split(card.command)
    except ValueError:
        words = []
    ours = words[:2] == ["attnscope", "decide"] and shlex.join(words) == card.command
    return card.command if ours else NOT_OURS


def card_lines(card: DecisionCard) -> list[str]:
    """Return a card as lines for people, the answer first."""
    lines = ["", f"ANSWER  {card.sentence or 'none yet'}", ""]
    lines += [f"{word:<8}{text}" for word, text in card_facts(card)]
    lines += [f"stores  {', '.join(card.children)}"] if card.children else []
    lines += [f"not     {one}" for one in card.left_out]
    if card.paste is not None:
        lines += ["", "For your own loop:", *card.paste.splitlines()]
    return [*lines, "", f"again   {own_command(card)}"]
