"""The tables of the page on RepeatPrevious, computed from published arrays and cards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from scipy.stats import t as student

from attnscope_storage.wire.specifications.cards import DecisionCard
from benchmarks.checksums import unchanged
from benchmarks.recall.deciding import ASKED, card_name
from benchmarks.recall.measuring import FOLDER, WHOLE, file_of
from benchmarks.recall.subjects import SEEDS, SUBJECTS, THREE, TWO, Subject
from benchmarks.study2.writing import rewritten, table

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "repeat-previous.md"

LATE: Final = slice(1, None)
"""Episodes whose mean return is told: all but the first."""

AGES: Final = (15, 16)
"""Transitions that hold the card that is asked for: as their observation, and as the one that followed."""

Arrays = Mapping[str, np.ndarray]
Cards = Mapping[tuple[str, int, str], DecisionCard]
"""By recipe, training seed and options."""


def published(subject: Subject, folder: Path = FOLDER) -> dict[str, np.ndarray]:
    """Return the published arrays of a recipe; ValueError where their checksum is another."""
    with np.load(unchanged(folder / file_of(subject)), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def cards(folder: Path = FOLDER) -> dict[tuple[str, int, str], DecisionCard]:
    """Return the published cards by recipe, training seed and options."""
    paths = {
        (subject.name, seed, asked): folder / card_name(subject, asked, seed)
        for subject in SUBJECTS.values()
        for seed in SEEDS
        for asked in ASKED
    }
    return {
        key: DecisionCard.model_validate_json(path.read_text(encoding="utf-8"))
        for key, path in paths.items()
        if path.exists()
    }


def tables(three: Arrays, two: Arrays, made: Cards) -> dict[str, str]:
    """Return every table of the page by the name of its mark."""
    seeds = tuple(f"seed {seed}" for seed in SEEDS)
    returns = ("newest transitions kept", "the source", *seeds, "mean", "over three seeds, 95 %")
    attention = [line for subject, arrays in ((THREE, three), (TWO, two)) for line in _attention(subject, arrays)]
    return {
        "returns": table(returns, _returns(three)),
        "returns-two": table(returns, _returns(two)),
        "attention": table(("policy", "layer", "head", "on the card", "uniform"), attention),
        "screens": table(("policy", "tokens", "departs least", "recency", "uniform", "random"), _screened(made)),
        "decisions": table(("policy", "budgets", "tokens", "best arm", "kept", "verdict"), _decisions(made)),
    }


def write() -> Path:
    """Write the page's tables and return the page."""
    PAGE.write_text(
        rewritten(PAGE.read_text(encoding="utf-8"), tables(published(THREE), published(TWO), cards())), encoding="utf-8"
    )
    return PAGE


def _returns(arrays: Arrays) -> Iterator[tuple[str, ...]]:
    for place, budget in enumerate(arrays["budgets"]):
        each = arrays["returns"][:, place, ..., LATE].astype(float).mean(axis=(1, 2, 3))
        half = student.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each))
        yield (
            f"all {budget}" if budget == WHOLE else str(budget),
            f"{arrays['source'][place, LATE].mean():.1f}",
            *(f"{value:.1f}" for value in each),
            f"{each.mean():.1f}",
            f"[{each.mean() - half:.1f}, {each.mean() + half:.1f}]",
        )


def _attention(subject: Subject, arrays: Arrays) -> Iterator[tuple[str, ...]]:
    """Yield the head of each policy and layer that looks most at the card that is asked for."""
    attention = arrays["attention"]
    on_card = attention[..., list(AGES)].sum(axis=-1)
    uniform = len(AGES) / attention.shape[-1]
    for seed, layers in zip(SEEDS, on_card, strict=True):
        for layer, heads in enumerate(layers):
            head = int(heads.argmax())
            yield f"{subject.name}, seed {seed}", str(layer), str(head), f"{heads[head]:.2f}", f"{uniform:.2f}"


def _screened(made: Cards) -> Iterator[tuple[str, ...]]:
    """Yield the departures that a screen told of the arms that raced at each named budget."""
    for (recipe, seed, asked), card in made.items():
        if asked != "named":
            continue
        for tokens in sorted({arm.tokens for arm in card.arms}, reverse=True):
            by_rule = {arm.strategy: arm.departure or 0.0 for arm in card.arms if arm.tokens == tokens}
            first = min(by_rule, key=lambda rule: by_rule[rule])
            others = (f"{by_rule[rule]:.3f}" for rule in ("recency", "uniform", "random"))
            yield f"{recipe}, seed {seed}", f"{tokens} of {WHOLE}", f"{first} {by_rule[first]:.3f}", *others


def _decisions(made: Cards) -> Iterator[tuple[str, ...]]:
    for (recipe, seed, asked), card in made.items():
        for rung in card.rungs:
            kept = f"{rung.kept:.2f} [{rung.low:.2f}, {rung.high:.2f}]"
            yield f"{recipe}, seed {seed}", asked, f"{rung.tokens} of {WHOLE}", rung.arm, kept, rung.verdict
