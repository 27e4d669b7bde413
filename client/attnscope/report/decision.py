"""The report of a decision: its card as JSON with its schema, as text, as a picture, and as a section of a page.

Every text of the card is escaped; no script, no network.
"""

from __future__ import annotations

import base64
import hashlib
import html
from pathlib import Path
from string import Template
from typing import Final

from attnscope.decisions.wording import card_facts, card_lines, own_command
from attnscope.errors import DownloadRefusedError
from attnscope.figures.decisions.card import decision_card
from attnscope.figures.png import png
from attnscope.figures.style import pixels, save
from attnscope.report.page import part
from attnscope_storage.wire.specifications.cards import DecisionCard, card_schema

CARD: Final = "decision_card.json"
"""File that holds the card."""

SCHEMA: Final = "decision_card.schema.json"
"""File that holds the JSON schema of the card."""

PAGE: Final = "decision_card.html"

TEXT: Final = "decision.txt"

DPI: Final = 150


def decision_section(card: DecisionCard) -> str:
    """Return the card as a section of a page, its picture within it."""
    picture = base64.b64encode(png(pixels(decision_card(card), DPI), DPI)).decode()
    rows = "".join(
        f"<tr><th>{html.escape(word)}</th><td>{html.escape(text)}</td></tr>" for word, text in card_facts(card)
    )
    pasted = "" if card.paste is None else f"<h3>For your own loop</h3><pre>{html.escape(card.paste)}</pre>"
    sentence, again = html.escape(card.sentence or "No answer yet."), html.escape(own_command(card))
    return "".join(
        (
            f'<section id="decision"><h2>Decision</h2><p><strong>{sentence}</strong></p>',
            f'<figure><img alt="The card of the decision" src="data:image/png;base64,{picture}"></figure>',
            f'<table>{rows}</table>{pasted}<p class="hint">Again: <code>{again}</code></p></section>',
        )
    )


def decision_page(card: DecisionCard) -> str:
    """Return the card as a page of its own."""
    style = part("base.css")
    return Template(part("decision.html")).substitute(
        style=style,
        style_hash="sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        title=html.escape(f"Decision on {card.checkpoint_name}"),
        section=decision_section(card),
    )


def write_decision_report(card: DecisionCard, folder: Path, form: str = "png") -> list[Path]:
    """Write the card in all of its forms into a folder; return the files.

    Raises
    ------
    DownloadRefusedError
        The folder holds a file of such a name already.
    """
    texts = {
        CARD: card.model_dump_json(indent=1),
        SCHEMA: card_schema(),
        PAGE: decision_page(card),
        TEXT: "\n".join([*card.lines, *card_lines(card)]),
    }
    picture = folder / f"decision_card.{form}"
    there = [path.name for path in (*(folder / name for name in texts), picture) if path.exists()]
    if there:
        raise DownloadRefusedError(f"{folder} holds {', '.join(there)} already")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text + "\n", encoding="utf-8")
    return [*(folder / name for name in texts), save(decision_card(card), picture)]
