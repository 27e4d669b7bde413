"""A table in a terminal of the costs of a trial's conditions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from attnscope.cli.app import out, tell
from attnscope.cli.records import show_table
from attnscope.documents import document

if TYPE_CHECKING:
    from attnscope.trials.outside import OutsideArm
    from attnscope.trials.recipes import ArmOfRecipe
    from attnscope.trials.row import Row
    from attnscope.trials.trial import Trial

READ = """gain kept: (return − random) ÷ (uncompressed − random), 95 %; where it binds: from the first episode in which
the budget drops anything. speed: times as fast, with a full context. jointly: all conditions judged at once. °: oracle.
†: few degrees of freedom. In brackets: what would decide, at both ends of the 80 % interval."""
SEEDS = ("arm over training seeds", "against", "seeds", "these seeds keep", "verdict", "the recipe keeps", "verdict ")
COLUMNS = ("condition", "positions", "tokens", "return", "gain kept", "where it binds", "KL", "speed", "verdict")


def show_board(trial: Trial, *, as_json: bool, returns: Mapping[str, Path] | None = None) -> None:
    """Print every committed condition of a trial, the uncompressed one first.

    Parameters
    ----------
    returns
        Files of returns of other programs, [env, episode], by the names of their arms.
    """
    from attnscope.foreign.returns import outside_arms  # noqa: PLC0415 - loads zarr
    from attnscope.trials.answering import answers  # noqa: PLC0415 - as above
    from attnscope.trials.board import board  # noqa: PLC0415 - as above
    from attnscope.trials.words import speed_words  # noqa: PLC0415 - as above

    results = trial.results()
    found = board(results, outside=outside_arms(results, returns or {}))
    answered = answers(found)
    if as_json:
        tell(document(found.to_json() | ({"answers": answered} if answered else {})))
        return
    for sentence in answered:
        out.print(escape(sentence))
    means = found.results.returns.mean(axis=tuple(range(1, found.results.returns.ndim)))
    lines = [_cells(row, f"{mean:.2f}") for row, mean in zip(found.rows, means, strict=False)]
    show_table(COLUMNS, lines + [_outside(one) for one in found.outside])
    if found.recipes:
        show_table(SEEDS, [_over_seeds(one) for one in found.recipes])
    for one in found.outside:
        out.print(escape(one.words))
    out.print(READ, markup=False)
    out.print(f"{found.reach} {speed_words(found.results)}")
    for reason in sorted({row.verdict.reason for row in found.rows if row.verdict.reason is not None}):
        out.print(escape(f"nothing can be told where {reason}"))


def _outside(one: OutsideArm) -> tuple[str, ...]:
    from attnscope.trials.outside import NO_INTERVAL  # noqa: PLC0415 - loads zarr

    return one.label, "–", "–", f"{one.mean:.2f}", one.share, "–", "–", "–", NO_INTERVAL


def _over_seeds(one: ArmOfRecipe) -> tuple[str, ...]:
    from attnscope.trials.words import number  # noqa: PLC0415 - loads zarr

    seeds = f"{one.training_seeds} against {one.reference_seeds}"
    these, recipe = (number(verdict.kept) for verdict in (one.these, one.recipe))
    return one.name, one.against, seeds, these, one.seeds_words, recipe, one.recipe_words


def _cells(row: Row, mean: str) -> tuple[str, ...]:
    from attnscope.trials.naming import positions_of  # noqa: PLC0415 - loads zarr
    from attnscope.trials.speed import speed_at  # noqa: PLC0415 - loads zarr
    from attnscope.trials.words import binding_words, number  # noqa: PLC0415 - as above

    speed = speed_at(row.speeds)
    return (
        row.name + (" °" if row.condition.oracle else ""),
        positions_of(row.condition),
        f"{row.tokens:.1f} ({row.share.value:.0%})",
        mean,
        number(row.verdict.kept),
        binding_words(row),
        "–" if row.divergence is None or row.divergence.kl is None else f"{row.divergence.kl.value:.3g}",
        "–" if speed is None else f"{speed.ratio:.2f} at {speed.envs}",
        row.words,
    )
