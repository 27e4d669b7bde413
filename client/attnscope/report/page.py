"""The page of a capture: one file without a network, run by the modules of the live page; every text is text."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from importlib.resources import files
from string import Template

from attnscope.page.answered import Evidence
from attnscope.page.assets import STYLES, asset
from attnscope.page.bundling import bundled
from attnscope.page.evidence import Answers, Given
from attnscope.recommendations import Advice
from attnscope.recommendations.advice import lead_beside
from attnscope.recommendations.beside import Beside
from attnscope.report.embedding import embedded
from attnscope.report.findings import findings
from attnscope.report.sections import attention_words, lead_section, listed, paragraphs, table_section
from attnscope.report.uniformity import uniformity
from attnscope.study import Study
from attnscope.study.captions import caption_of_study


def part(name: str) -> str:
    """Return a file that pages are made of."""
    return files("attnscope.report").joinpath(name).read_text("utf-8")


def styled(page: str) -> str:
    """Return the style of a page without a script: what all have in common, and its own."""
    return part("base.css") + part(f"{page}.css")


def page(
    read: Study,
    steps: list[int],
    figures: Mapping[str, bytes],
    advice: Advice | str,
    beside: Beside | None = None,
    page_bytes: int | None = None,
) -> str:
    """Return the page: the answer first, then the screen, the rules as a table, and attention below.

    Parameters
    ----------
    steps
        Steps whose whole maps are held.
    figures
        PNG by title.
    advice
        What is known about compression, or why nothing is recommended by attention.
    beside
        A decision and a screen of the same policy.
    page_bytes
        Bytes of decision rows that the page may hold; None as `attnscope.report.embedding` says.
    """
    capture, beside = read.capture, beside or Beside()
    content, held = embedded(read, steps, page_bytes)
    evidence = Evidence(card=beside.decision, screen=beside.screen, screen_job=beside.screen_job)
    content["answers"]["answer"] = Answers(Given(evidence), lambda: None).document()
    style, script = "".join([*(asset(path).decode() for path in STYLES), part("page.css")]), bundled("report.js")
    warned = uniformity(read).sentences()
    sentences = [sentence for sentence in findings(read) if sentence not in warned]
    fields = {
        "title": f"Attention of {capture.resolved.checkpoint_name}",
        "state": f"{capture.steps_committed} of {capture.resolved.steps} steps, {capture.origin.condition}",
        "provenance": caption_of_study(read),
        "held": held,
    }
    made = {
        "style": style,
        "script": script,
        "style_hash": hash_of(style),
        "script_hash": hash_of(script),
        "warnings": paragraphs(warned, "warning"),
        "lead": _lead(read, advice, beside),
        "rules": "" if isinstance(advice, str) or advice.table.empty else table_section(advice),
        "findings": listed(sentences),
        "words": "" if isinstance(advice, str) else _folded("Attention in words", attention_words(advice)),
        "figures": "".join(_figure(title, png) for title, png in figures.items()),
        "data": script_json(content),
    }
    template = Template(part("page.html"))
    return template.substitute({**{name: html.escape(text) for name, text in fields.items()}, **made})


def _lead(read: Study, advice: Advice | str, beside: Beside) -> str:
    """Return the first section; where attention gave no advice, with the reason."""
    if not isinstance(advice, str):
        return lead_section(advice.lead, [one.sentence for one in advice.measured])
    return lead_section(lead_beside(read, beside), [f"No recommendation by attention: {advice}."])


def _folded(title: str, sentences: list[str]) -> str:
    """Return sentences that are shown when they are asked for."""
    return f"<details><summary>{html.escape(title)}</summary>{listed(sentences)}</details>"


def hash_of(text: str) -> str:
    """Return the word by which a content security policy allows exactly this script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _figure(title: str, png: bytes) -> str:
    source = base64.b64encode(png).decode()
    text = html.escape(title)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{source}"><figcaption>{text}</figcaption></figure>'


def script_json(content: object) -> str:
    """Return JSON that cannot end the script element it stands in, whatever its strings hold."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
