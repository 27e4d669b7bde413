"""Words of a trial's figures: their origin, and the names of conditions."""

from __future__ import annotations

from typing import Final, Literal

from attnscope.figures.style import COLOURS, SERIES
from attnscope.provenance import HELD_OUT, policy_words, state_words
from attnscope.trials.board import Board
from attnscope.trials.naming import label_of
from attnscope.trials.results import TrialResults
from attnscope.trials.row import Row

MARKERS: Final = {"reindex": "o", "keep": "s", "right_align": "^", "mask": "D"}
"""Marker of each position policy."""

Line = Literal["-", "--", ":"]

BLIND: Final[dict[str, tuple[str, Line]]] = {"uniform": (COLOURS["uniform"], "--"), "random": (COLOURS["muted"], ":")}
"""Colour and line of the controls."""

LEFT: Final = "#C9CED3"
"""Colour of conditions beyond the palette."""

LABEL: Final = 26
"""Characters of a strategy's name in a legend."""

SIGNS: Final = {"non-inferior": "✓", "inferior": "✗", "inconclusive": "?"}


def caption_of_trial(board: Board) -> str:
    """Return the provenance of a trial's figures and the kind of its intervals."""
    results, bootstrap = board.results, board.bootstrap
    resolved, provenance = results.resolved, results.provenance
    mask = policy_words({"causal": results.policy.causal, "causal_stated_by": "unknown"} | dict(provenance))
    tasks = f"{len(results.tasks)} tasks ({HELD_OUT[resolved.held_out]}) × {results.seeds} seeds"
    unit = "rollouts within task" if bootstrap.scope == "these tasks" else "tasks"
    intervals = f"intervals: 95 %, paired, resampling {unit}" if bootstrap.informative else "no interval: one rollout"
    state = state_words(results.state, results.committed, "condition")
    whole = "" if results.complete else f", {state}: {results.committed} of {len(resolved.conditions)} conditions"
    where = provenance.get("device", "unknown device")
    whose = [(one.name, one.id) for one in resolved.checkpoints] or [(resolved.checkpoint_name, resolved.checkpoint_id)]
    name = "; ".join(f"{called} ({identity[:12]})" for called, identity in whose)
    mask = "" if len(whose) > 1 else f", {mask}"
    return (
        f"{name}{mask}; {resolved.environment_id}, {tasks}, {results.spec.episodes} episodes\n"
        f"job {results.job}{whole}; {how_of(results)}; {where}; {intervals}"
    )


def how_of(results: TrialResults) -> str:
    """Return how contexts were compressed."""
    spec = results.spec
    when = "whenever full" if spec.interval == "full" else f"every {spec.interval} steps" if spec.interval > 1 else ""
    return f"{spec.memory}, selected {when or 'at every step'}, {spec.path}"


def title_of_trial(board: Board, what: str) -> str:
    """Return a figure's title."""
    many = len(board.results.resolved.checkpoints)
    name = board.results.resolved.checkpoint_name if many < 2 else f"{many} checkpoints"  # noqa: PLR2004 - several
    return f"{what} · {name} · trial {board.results.job[:8]}"


def strategies_of(rows: tuple[Row, ...]) -> dict[str, list[Row]]:
    """Return compressed conditions by strategy, each from its smallest effective budget to its largest."""
    found: dict[str, list[Row]] = {}
    names = labels_of(rows)
    for row in rows[1:]:
        found.setdefault(names[row.condition.text], []).append(row)
    return {name: sorted(of, key=lambda row: row.share.value) for name, of in found.items()}


def labels_of(rows: tuple[Row, ...]) -> dict[str, str]:
    """Return a short name for each strategy, by its whole text; no two names are equal."""
    found: dict[str, str] = {}
    for row in rows:
        label = label_of(row.condition)
        short = label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"
        if row.condition.text not in found:
            same = sum(name == short or name.startswith(f"{short} #") for name in found.values())
            found[row.condition.text] = f"{short} #{same + 1}" if same else short
    return found


def positions_of(board: Board) -> list[str]:
    """Return the position policies of a trial, in its order."""
    return list(dict.fromkeys(row.condition.positions for row in board.rows[1:]))


def looks(names: list[str]) -> dict[str, tuple[str, Line]]:
    """Return colour and line of each strategy: controls have their own, the others take the palette's in order."""
    free = iter(SERIES)
    found: dict[str, tuple[str, Line]] = {}
    for name in names:
        found[name] = BLIND[name] if name in BLIND else (next(free, LEFT), "-")
    return found
