"""A card in words: the same facts in a terminal, in a file, on a page and in a picture."""

from __future__ import annotations

import shlex
from typing import Final

from attnscope_storage.wire.specifications.cards import DecisionCard

NOT_OURS: Final = "(the card's command is none of attnscope's, and is not shown)"
"""In place of a command that nobody should paste."""


def card_facts(card: DecisionCard) -> list[tuple[str, str]]:
    """Return what a card says beside its answer, as pairs of a word and its text; the same in every form of it."""
    rollouts = f"{card.rollouts} rollouts, baseline, gate and capture counted"
    if card.random_rollouts:
        rollouts += f"; {card.random_rollouts} of uniform actions beside"
    facts = [
        ("policy", f"{card.checkpoint_name} ({card.checkpoint_id[:12]}) in {card.environment_id}"),
        ("scope", f"{card.scope}; margin {100 * card.margin:g} %; judged from episode {card.first_episode} on"),
        ("cost", rollouts),
    ]
    facts += [
        ("rung", f"{one.arm}: {one.verdict}, {one.words}, {one.tasks} tasks × {one.seeds} seeds") for one in card.rungs
    ]
    if card.speed is not None:
        facts.append(("speed", f"{card.speed.words} ({card.speed.envs} environments on {card.speed.device})"))
    if card.memory is not None:
        facts.append(("memory", card.memory.words))
    facts += [("refused", f"{one.arm}: {one.reason}") for one in card.refused]
    if card.earlier:
        facts.append(("attempt", f"number {card.attempt} on this checkpoint and environment"))
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
    if card.arms:
        lines.append(f"raced   {'; '.join(arm.name for arm in card.arms)}")
    lines += [f"store   {name}" for name in card.children]
    lines += [f"not     {one}" for one in card.left_out]
    if card.paste is not None:
        lines += ["", "For your own loop:", *card.paste.splitlines()]
    return [*lines, "", f"again   {own_command(card)}"]
