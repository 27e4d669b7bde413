"""Sections of a report's page that are plain HTML: the lead, the table of rules, and sentences; every text escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from attnscope.recommendations import Advice
from attnscope.recommendations.lead import Lead
from attnscope.recommendations.table import BOUNDS, Table


def paragraphs(texts: Iterable[str], kind: str = "") -> str:
    """Return texts as paragraphs."""
    of = f' class="{html.escape(kind)}"' if kind else ""
    return "".join(f"<p{of}>{html.escape(text)}</p>" for text in texts)


def listed(texts: Iterable[str]) -> str:
    """Return texts as a list."""
    return f"<ul>{''.join(f'<li>{html.escape(text)}</li>' for text in texts)}</ul>"


def lead_section(lead: Lead, measured: Sequence[str] = ()) -> str:
    """Return the first statement of a report: sentences, then the commands that lead further.

    Parameters
    ----------
    measured
        Sentences about trials.
    """
    claims = [one.sentence for one in lead.claims]
    commands = "".join(
        f"<p>{html.escape(what)}: <code>{html.escape(command)}</code></p>" for what, command in lead.commands
    )
    gate = paragraphs((one.sentence for one in lead.gate), "warning")
    title = html.escape(lead.title.capitalize())
    return (
        f'<section class="lead"><h2>{title}</h2>{gate}{paragraphs(claims[:1], "sentence")}{paragraphs(claims[1:])}'
        f'{paragraphs(measured)}<div class="commands">{commands}</div></section>'
    )


def table_section(advice: Advice) -> str:
    """Return the rules as a table: a row a rule, bounds apart."""
    table = advice.table
    head, rows, bounds = table.shown()
    columns = "".join(f'<th scope="col">{html.escape(one)}</th>' for one in head)
    apart = (
        f'<tr><th class="apart" colspan="{len(head)}" scope="rowgroup">{html.escape(BOUNDS)}</th></tr>'
        if bounds
        else ""
    )
    body = f"<tbody>{''.join(map(_row, rows))}</tbody><tbody>{apart}{''.join(map(_row, bounds))}</tbody>"
    left = f"{table.left} more rules are in compression_recommendations.json." if table.left else ""
    absent = ", ".join(advice.not_applicable)
    notes = [table.key, left, f"Not judged, for want of what they need: {absent}." if absent else ""]
    title = html.escape(_sentence(table))
    whole = f"<table><thead><tr>{columns}</tr></thead>{body}</table>"
    said = paragraphs((one for one in notes if one), "hint")
    return f'<section class="rules"><h2>{title}</h2><div class="wide" tabindex="0">{whole}</div>{said}</section>'


def _sentence(table: Table) -> str:
    """Return the title of a table as a heading: its capitals are those of a text without headings."""
    loud, _, rest = table.title.partition(",")
    return f"{loud.capitalize()},{rest}" if rest else loud.capitalize()


def _row(cells: Sequence[str]) -> str:
    first, *others = cells
    return (
        f'<tr><th scope="row">{html.escape(first)}</th>{"".join(f"<td>{html.escape(one)}</td>" for one in others)}</tr>'
    )


def attention_words(advice: Advice) -> list[str]:
    """Return what the recommendations' text says of attention, as sentences."""
    basis = [one.sentence for one in advice.basis]
    headline = [one.sentence for one in advice.headline]
    patterns = [
        f"{one.name}: {one.answer}. {' '.join(claim.sentence for claim in one.claims)}".strip()
        for one in advice.patterns
    ]
    return [*basis, *headline, *patterns, *(note.strip() for note in advice.notes)]
