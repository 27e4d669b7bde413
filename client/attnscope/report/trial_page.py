"""The page of a trial: one file, no script, no network, every text of the trial escaped."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from string import Template
from typing import Final

import numpy as np

from attnscope.figures.trials.words import caption_of_trial
from attnscope.provenance import state_words
from attnscope.report.page import part, styled
from attnscope.report.trial_findings import trial_findings
from attnscope.trials.board import Board
from attnscope.trials.naming import positions_of
from attnscope.trials.outside import NO_INTERVAL, OutsideArm
from attnscope.trials.row import Row
from attnscope.trials.selection import Winner
from attnscope.trials.speed import speed_at
from attnscope.trials.words import binding_words, number

HEAD: Final = (
    "Condition", "Positions", "Tokens kept", "Gain kept", "Where it binds", "Verdict", "Δ return", "vs uniform",
    "vs random", "IQM", "Full context", "Last third", "KL (nats)", "Flips", "Times as fast", "FLOPs", "Tasks lost",
)  # fmt: skip

KEY: Final = (
    "Gain kept: (compressed − uniform actions) ÷ (uncompressed − uniform actions), all episodes; where it binds: from "
    "the first episode on in which the budget drops anything; vs uniform and "
    "random: share of the gain beyond what the blind rule keeps with as many tokens; KL and flips: on the uncompressed "
    "histories; speed: at most environments with a full context, the strategy's work included. Jointly: with all "
    "conditions judged at once; ° oracle, whose speed is no speed-up; † few degrees of freedom. Italics: controls."
)


def trial_page(board: Board, winner: Winner | None, figures: dict[str, bytes], more: Sequence[str] = ()) -> str:
    """Return the page.

    Parameters
    ----------
    figures
        PNG by title.
    more
        Sentences beside those of the trial itself.
    """
    results = board.results
    style = styled("trial")
    total = len(results.resolved.conditions)
    state = state_words("complete" if results.complete else results.state, results.committed, "condition")
    fields = {
        "title": f"Compression of {results.resolved.checkpoint_name}",
        "state": f"{results.committed} of {total} conditions, {state}",
        "provenance": caption_of_trial(board),
        "key": KEY,
    }
    made = {
        "style": style,
        "style_hash": "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        "findings": "".join(
            f"<li>{html.escape(sentence)}</li>" for sentence in [*trial_findings(board, winner), *more]
        ),
        "head": "".join(f"<th>{html.escape(one)}</th>" for one in HEAD),
        "rows": "\n".join([*map(_line, board.rows), *map(_outside, board.outside)]),
        "seeds": _over_seeds(board),
        "figures": "".join(_figure(title, png) for title, png in figures.items()),
    }
    template = Template(part("trial.html"))
    return template.substitute({**{name: html.escape(text) for name, text in fields.items()}, **made})


def _line(row: Row) -> str:
    """Return one row of the table, whose columns are `HEAD`."""
    verdict = row.verdict
    speed, apart = speed_at(row.speeds), row.divergence
    cells = [
        row.name + (" °" if row.condition.oracle else ""),
        positions_of(row.condition),
        f"{row.share.value:.0%}",
        number(verdict.kept),
        binding_words(row),
        row.words,
        number(row.difference),
        number(row.over_uniform),
        number(row.over_random),
        number(row.iqm),
        *(number(row.phases[phase].kept) if phase in row.phases else "–" for phase in ("full", "late")),
        "–" if apart is None or apart.kl is None else f"{apart.kl.value:.3g}",
        "–" if apart is None or apart.flips is None else f"{apart.flips.value:.1%}",
        "–" if speed is None else f"{speed.ratio:.2f}",
        f"{row.flops_share:.0%}" if np.isfinite(row.flops_share) else "–",
        f"{len(row.tasks.lost)} of {len(row.tasks.succeeded)}",
    ]
    kind = f"{verdict.word}{' control' if row.condition.control else ''}"
    place = HEAD.index("Verdict")
    kinds = {0: f' title="{html.escape(row.condition.text)}"', place: ' class="word"'}
    text = "".join(f"<td{kinds.get(at, '')}>{html.escape(cell)}</td>" for at, cell in enumerate(cells))
    return f'<tr class="{kind}">{text}</tr>'


def _outside(one: OutsideArm) -> str:
    """Return the row of imported returns, which say a return and a share alone."""
    known = {
        "Condition": one.label,
        "Gain kept": one.share,
        "Verdict": NO_INTERVAL,
        "Δ return": f"{one.difference:.2f}",
    }
    cells = "".join(f"<td>{html.escape(known.get(column, '–'))}</td>" for column in HEAD)
    return f'<tr class="inconclusive">{cells}</tr>'


SEEDS: Final = (
    "Arm over training seeds", "Against", "Training seeds", "These seeds keep", "Verdict on these seeds",
    "The recipe keeps", "Verdict on the recipe",
)  # fmt: skip


def _over_seeds(board: Board) -> str:
    """Return the table of arms over training seeds; nothing where no arm is of a recipe."""
    if not board.recipes:
        return ""
    lines = []
    for one in board.recipes:
        seeds = f"{one.training_seeds} against {one.reference_seeds}"
        kept = [number(verdict.kept) for verdict in (one.these, one.recipe)]
        cells = (one.name, one.against, seeds, kept[0], one.seeds_words, kept[1], one.recipe_words)
        lines.append(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>")
    head = "".join(f"<th>{html.escape(one)}</th>" for one in SEEDS)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<h2>Training seeds</h2><div class="wide">{table}</div>'


def _figure(title: str, png: bytes) -> str:
    source = base64.b64encode(png).decode()
    text = html.escape(title)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{source}"><figcaption>{text}</figcaption></figure>'
