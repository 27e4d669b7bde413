"""The comparison as files: a text, JSON, and two figures."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np

from attnscope.capture import Capture
from attnscope.comparison.consistency import Consistency, patterns_of, strategies_of
from attnscope.comparison.differences import Difference, differences
from attnscope.comparison.drawing import measures_figure, multiples
from attnscope.comparison.numbers import MEASURES
from attnscope.documents import document
from attnscope.errors import NotCapturedError
from attnscope.figures.provenance import progress_of, source_of
from attnscope.figures.style import save
from attnscope.measures import NotMeasurableError
from attnscope.study import Choice, Study, study
from attnscope.study.quantities import Quantity


def write_comparison(captures: list[Capture], out: Path, choice: Choice | None = None) -> list[Path]:
    """Write the comparison of two captures or more and return the files.

    Parameters
    ----------
    captures
        Two at least.
    out
        Folder of the files; it is made.
    choice
        Which steps and environments of each capture are read.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    ValueError
        Fewer than two captures.
    """
    if len(captures) < 2:  # noqa: PLR2004 - a comparison
        raise ValueError(f"expected two captures at least, got {len(captures)}")
    studies = [study(capture, choice) for capture in captures]
    names = short_names(captures)
    pairs = {(a, b): differences(studies[a], studies[b]) for a, b in combinations(range(len(studies)), 2)}
    found, unsaid = patterns_of(studies), ""
    try:
        found += strategies_of(studies)
    except (NotCapturedError, NotMeasurableError) as error:
        unsaid = f"Strategies were not compared: {error}."
    out.mkdir(parents=True, exist_ok=True)
    text, data = out / "comparison.txt", out / "comparison.json"
    text.write_text(_text(studies, names, pairs, found, unsaid), encoding="utf-8")
    data.write_text(document(_data(studies, names, pairs, found)) + "\n", encoding="utf-8")
    figures = [
        save(measures_figure(studies, names), out / "comparison_measures.png"),
        save(multiples(studies, names), out / "comparison_multiples.png"),
    ]
    return [text, data, *figures]


def short_names(captures: list[Capture]) -> list[str]:
    """Return a name for each capture: the checkpoint's, with what tells it from the others of that name."""
    names = []
    for index, capture in enumerate(captures):
        name = capture.resolved.checkpoint_name
        same = [other for other in captures if other.resolved.checkpoint_name == name]
        if len(same) > 1 and len({other.origin.mask for other in same}) == len(same):
            name += " " + capture.origin.mask.split(" ")[0]
        elif len(same) > 1:
            name += f" {capture.job[:8]}"
        names.append(f"{name} ({index + 1})" if name in names else name)
    return names


LENGTHS = (
    "The contexts differ in length, and shares of attention fall as a context grows. So the verdict on a measure is "
    "taken on its lift over uniform attention; a plain difference may be that of the lengths alone."
)
"""Said where captures are not compared at equal context lengths."""

TOKENS = (
    "Their transitions are of {tokens} tokens: equal numbers or shares of tokens are not equal stretches of history, "
    "so what is said of the newest tokens and of shares of the context compares unlike things."
)
"""Said where families that make one token of a transition stand beside families that make several."""

Pairs = dict[tuple[int, int], list[Difference]]


def unlike(studies: list[Study]) -> list[str]:
    """Return what makes the captures' attention unlike for other reasons than the policies' patterns."""
    notes = [LENGTHS] if len({_contexts(read) for read in studies}) > 1 else []
    tokens = sorted({read.layout.tokens_per_transition for read in studies})
    return [*notes, TOKENS.format(tokens=" and ".join(map(str, tokens)))] if len(tokens) > 1 else notes


def _text(studies: list[Study], names: list[str], pairs: Pairs, found: list[Consistency], unsaid: str) -> str:
    lines = ["Are the patterns consistent?", ""]
    lines += [f"{name}: {source_of(read.capture)}" for name, read in zip(names, studies, strict=True)]
    lines += [f"{progress_of(read.capture)}; {_contexts(read)}" for read in studies]
    lines += [line for note in unlike(studies) for line in ("", note)]
    lines += ["", "Verdicts, capture by capture in the order above", *(f"- {verdict}" for verdict in found)]
    lines += [unsaid, ""] if unsaid else [""]
    for (a, b), parts in pairs.items():
        lines.append(f"{names[b]} minus {names[a]}")
        lines += [f"  {part.measure:<32} {part}{('  differs' if part.distinct else '')}" for part in parts]
        lines.append("")
    return "\n".join(lines)


def _contexts(read: Study) -> str:
    return f"means at contexts of {read.least} to {int(read.length.max())} tokens, {read.tokens:.0f} on average"


def _data(studies: list[Study], names: list[str], pairs: Pairs, found: list[Consistency]) -> dict[str, object]:
    return {
        "captures": [
            {
                "name": name,
                "job": read.capture.job,
                "measures": {m.name: _cell(m.of(read)) for m in MEASURES},
            }
            for name, read in zip(names, studies, strict=True)
        ],
        "differences": [
            {"from": names[a], "to": names[b], "measures": [_difference(part) for part in parts]}
            for (a, b), parts in pairs.items()
        ],
        "verdicts": [{**vars(verdict), "consistent": verdict.consistent, "verdict": verdict.word} for verdict in found],
    }


def _cell(found: Quantity) -> dict[str, object]:
    one, lift = found.estimate, found.lift
    parts = {"value": one.value, "low": one.low, "high": one.high, "uniform": one.baseline}
    return _finite({**parts, "lift": None if lift is None else lift.value, "reliable": one.reliable})


def _difference(part: Difference) -> dict[str, object]:
    lift = None if part.lift is None else _finite(vars(part.lift))
    return _finite({**vars(part), "lift": lift, "distinct": part.distinct})


def _finite(values: dict[str, object]) -> dict[str, object]:
    return {name: None if isinstance(v, float) and not np.isfinite(v) else v for name, v in values.items()}
